/** The completions, in the shells that they are for. */
import { basename } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { describeCommand, withSubcommands } from "../../src/cli/completion/description.ts";
import { createProgram } from "../../src/cli/program.ts";
import { hasProgram, offeredByBash, offeredByFish, offeredByZsh } from "../helpers/shell-completion.ts";
import { Home, stsmapd } from "../helpers/stsmapd.ts";

const SHELLS = [
  { shell: "bash", offered: offeredByBash },
  { shell: "zsh", offered: offeredByZsh },
  { shell: "fish", offered: offeredByFish },
];

const commands = withSubcommands(describeCommand(createProgram(() => {})));
const namesBelow = (path: string) =>
  commands.find((command) => command.path.join(" ") === path)?.commands.map(({ name }) => name) ?? [];

/** Without what a shell puts before a candidate: `--mode=`, or the folder that was typed. */
const bare = (offers: readonly string[]) => offers.map((offer) => basename(offer.replace(/^--\w+=/, "")));

for (const { shell, offered } of SHELLS) {
  describe.skipIf(!hasProgram(shell))(`in ${shell} (needs Debian's package ${shell})`, () => {
    let script = "";
    beforeAll(async () => {
      using home = new Home();
      ({ stdout: script } = await stsmapd(["completion", shell], home.environment()));
    });

    it.each([
      ["stsmapd ", namesBelow(""), "the commands"],
      ["stsmapd ca", ["cache"], "one of them"],
      ["stsmapd cache ", namesBelow("cache"), "those below it"],
      ["stsmapd cache list --mode ", ["enforce", "testing", "none"], "the choices of an option"],
      ["stsmapd cache list --mode=t", ["testing"], "with an equals sign"],
      ["stsmapd query -p t", ["tcp_table"], "of its short form"],
      ["stsmapd query --map ", [], "a value that no shell can know"],
      ["stsmapd completion ", ["bash", "zsh", "fish"], "the choices of an argument"],
      ["stsmapd check ", [], "a next hop: no files"],
      ["stsmapd serve -c /etc/passw", ["passwd"], "a file for --config"],
      ["stsmapd cache import --from mta-sts-daemon /etc/passw", ["passwd"], "a file as an argument"],
      ["stsmapd check --json example.com --co", ["--config"], "an option after the argument"],
    ])("%s → %j: %s", (line, expected) => {
      // passwd- is there too.
      const offers = bare(offered(script, line)).filter((offer) => !offer.endsWith("-"));
      expect(offers.toSorted()).toEqual(expected.toSorted());
    });
  });
}

describe("every option of every command", () => {
  for (const { shell, offered } of SHELLS.filter((each) => each.shell !== "zsh")) {
    it.skipIf(!hasProgram(shell))(`is offered by ${shell}`, async () => {
      using home = new Home();
      const { stdout: script } = await stsmapd(["completion", shell], home.environment());
      for (const { path, options } of commands) {
        const long = options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith("--")));
        const offers = offered(script, ["stsmapd", ...path, "--"].join(" "));
        expect({ path, offers: offers.toSorted() }).toEqual({ path, offers: long.toSorted() });
      }
    });
  }
});

it("knows no other shell", async () => {
  using home = new Home();
  expect(await stsmapd(["completion", "tcsh"], home.environment())).toMatchObject({ status: 64, stdout: "" });
});
