/** Whether Postfix is there, and new enough. */
import { ok, problem, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { PostfixState } from "./postfix-facts.ts";

/** Whether `version`, as `mail_version` has it, is `least` or later: `3.10.5` is later than `3.9`. */
export function isAtLeast(version: string, ...least: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [index, wanted] of least.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

/** The built-in map for a Postfix of `version`. */
export function mapFor(version: string): "postfix" | "postfix310" {
  return isAtLeast(version, 3, 10) ? "postfix310" : "postfix";
}

export function judgePostfix(state: PostfixState): Finding {
  switch (state.kind) {
    case "missing":
      return warning("postfix", "no postconf in PATH or /usr/sbin: what concerns Postfix was not looked at", [
        "# run this where Postfix is installed, or ignore it if Postfix runs in another container",
      ]);
    case "failed":
      return problem("postfix", state.reason, ["# name the folder of main.cf by --postfix-config"]);
    case "found":
      break;
  }
  const { version, parameters } = state.facts;
  if (!isAtLeast(version, 3, 4)) {
    return problem(
      "postfix",
      `Postfix ${version} knows no servername=, which every policy is answered with`,
      ["# install Postfix 3.4 or later: until then it defers all mail to domains with a policy"],
    );
  }
  const others = parameters["multi_instance_directories"] ?? "";
  const more = others === "" ? "" : `; other instances, each for a --postfix-config of its own: ${others}`;
  return ok(
    "postfix",
    `Postfix ${version}, ${parameters["config_directory"]}, map ${mapFor(version)}${more}`,
  );
}

/** Says of a check that it needs Postfix. */
export function withoutPostfix(check: Finding["check"]): Finding {
  return skipped(check, "there is no Postfix to look at");
}
