import { readFileSync } from "node:fs";
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { readDockerfile } from "./image/dockerfile.ts";
import { nameServerAddress } from "./name-server.ts";
import { Daemon, eventually, mustRun, run } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { policy } from "./world.ts";

const world = useWorld("compose");

const checkout = new URL("../..", import.meta.url).pathname;
const folder = `${checkout}postfix-examples`;
const text = readFileSync(`${folder}/compose.yaml`, "utf8");
const { services } = parse(text);

/** The pieces of main.cf in the remark at the top. */
const fragment = [...text.matchAll(/^# {3}(smtp_.*)$/gmu)].map(([, line]) => `${line}\n`).join("");

const both = "both.example";
let unbound: Daemon;
let stsmapd: Daemon;

beforeAll(async () => {
  await mkdir(`${world().folder}/compose`);
  await world().stsmapd.stop();
  await mustRun("ip", ["address", "add", "172.30.53.1/24", "dev", "lo"]);
  await startUnbound();
  await startStsmapd();
});

afterAll(async () => {
  await stsmapd.stop();
  await unbound.stop();
});

/** As the container's command, user, and mounts say, on the root and the trust anchor of the world. */
async function startUnbound(): Promise<void> {
  const { command, user, volumes, tmpfs, sysctls } = services.unbound;
  const [source, target] = volumes[0].split(":");
  await mustRun("mount", ["--bind", `${folder}/${source}`, target]);
  await mustRun("mount", ["-t", "tmpfs", "-o", "mode=1777", "tmpfs", tmpfs[0]]);
  for (const [name, value] of Object.entries<string>(sysctls))
    await writeFile(`/proc/sys/${name.replaceAll(".", "/")}`, value);
  for (const [name, content] of [
    ["root.hints", `. NS ns.example.\nns.example. A ${nameServerAddress}\n`],
    ["root.key", `${world().nameServer.trustAnchor}\n`],
  ] as const) {
    const file = `${world().folder}/compose/${name}`;
    await writeFile(file, content);
    await mustRun("mount", ["--bind", file, `/usr/share/dns/${name}`]);
  }
  await mustRun("unbound-checkconf", [target]);
  const unprivileged = [
    `--reuid=${user}`,
    `--regid=${user}`,
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
  ];
  unbound = await Daemon.start(
    "setpriv",
    [...unprivileged, ...command],
    `${world().folder}/compose/unbound.log`,
  );
  await unbound.ready(async () => (await healthcheck("unbound")).code === 0);
}

/** The checkout's, with the environment of the image and of compose.yaml. */
async function startStsmapd(): Promise<void> {
  const args = ["src/main.ts", "serve"];
  const log = `${world().folder}/compose/stsmapd.log`;
  stsmapd = await Daemon.start(process.execPath, args, log, { cwd: checkout, env: environment() });
  await stsmapd.ready(async () => (await healthcheck("stsmapd")).code === 0);
}

function environment(): Record<string, string> {
  const image = readDockerfile(readFileSync(`${checkout}Dockerfile`, "utf8")).at(-1)?.instructions ?? [];
  const ofImage = image.filter(({ keyword }) => keyword === "ENV").flatMap(({ pairs }) => [...pairs]);
  return {
    ...Object.fromEntries(ofImage),
    ...services.stsmapd.environment,
    // What only this world wants.
    STSMAPD_STORE_PATH: `${world().folder}/compose/cache.sqlite`,
    STSMAPD_FETCH_CA_FILE: world().authority.rootFile,
    STSMAPD_FETCH_ALLOW_ADDRESSES: "[10.53.0.0/16]",
  };
}

function healthcheck(service: "stsmapd" | "unbound") {
  const [, command, ...args] = services[service].healthcheck.test;
  return command === "stsmapd"
    ? run(process.execPath, ["src/main.ts", ...args], { cwd: checkout, env: environment() })
    : run(command, args);
}

it("the resolver is validating, and stsmapd believes it: DANE goes before a policy", async () => {
  const host = `mail.${both}`;
  await world().publish({
    name: both,
    mx: [host],
    records: [`mail A ${world().receivers.addressOf(mx.good)}`, `_25._tcp.mail TLSA 3 1 1 ${"0".repeat(64)}`],
    signed: true,
    sts: { id: "1", policy: policy("enforce", [host]) },
  });
  const ask = (map: string) => world().sender.query(`socketmap:inet:172.30.53.61:8461:${map}`, both);
  expect((await ask("QUERY")).stdout).toBe("dane-only\n");
  expect((await ask("postfix")).stdout).toBe("");
});

it("Postfix runs with the capabilities it is given, and the pieces of main.cf let mail through by a policy", async () => {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  const domain = await world().publish({ name: "compose.example", mx: [mx.good], sts });
  const { postfix } = world().sender;
  const roots = "/etc/ssl/certs/ca-certificates.crt";
  expect(fragment).toContain(`smtp_tls_CAfile = ${roots}`);
  await postfix.stop();
  await postfix.configure(fragment.replace(roots, world().authority.rootFile));
  await appendFile(`${postfix.configFolder}/master.cf`, "127.0.0.1:25 inet n - n - - smtpd\n");

  const capabilities = services.relay.cap_add.map((name: string) => `+${name.toLowerCase()}`).join(",");
  const command = [`--bounding-set=-all,${capabilities}`, "--no-new-privs", "postfix", "start-fg"];
  const env = { MAIL_CONFIG: postfix.configFolder };
  const mark = (await postfix.logLines()).length;
  const master = await Daemon.start("setpriv", command, `${postfix.folder}/master.log`, { env });
  try {
    const [, program, ...args] = services.relay.healthcheck.test;
    // Not by `postfix status`: it takes master(8)'s own lock for a moment, and a master(8) that starts then ends.
    await master.ready(async () =>
      (await postfix.logLines(mark)).some((line) => line.includes("daemon started")),
    );
    expect(await run(program, args, { env })).toMatchObject({ code: 0 });
    expect(await world().send(domain)).toMatchObject({ status: "sent", tls: "Verified" });
    const complaints = (await postfix.logLines(mark)).filter((line) => /warning|fatal/u.test(line));
    expect(complaints).toEqual([]);
  } finally {
    await master.stop();
  }
});

it("each is unhealthy when it has stopped", async () => {
  for (const [service, daemon] of [
    ["stsmapd", stsmapd],
    ["unbound", unbound],
  ] as const) {
    expect((await healthcheck(service)).code).toBe(0);
    await daemon.stop();
    await eventually(`${service} to be unhealthy`, async () => (await healthcheck(service)).code !== 0);
  }
});
