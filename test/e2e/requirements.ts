import { bookwormFolder, hasBookworm } from "./bookworm.ts";
import { forkyFolder, hasForky } from "./forky.ts";
import { run } from "./process.ts";

/** The programs and files of the world, and the Debian package each is in. */
const tools = new Map([
  ["postfix", "postfix"],
  ["knotd", "knot"],
  ["unbound", "unbound"],
  ["nginx", "nginx-light"],
  ["/usr/share/dns/root.key", "dns-root-data"],
  ["openssl", "openssl"],
  ["systemctl", "systemd"],
  ["ip", "iproute2"],
  ["unshare", "util-linux"],
]);

/** What this machine lacks for the suite, each as a sentence that says what to do about it. Empty when it can run. */
export async function missingRequirements(): Promise<string[]> {
  if (process.platform !== "linux") return ["the end-to-end suite needs Linux namespaces"];
  if (process.getuid?.() !== 0) return ["the end-to-end suite must be run as root"];

  const packages: string[] = [];
  for (const [tool, debianPackage] of tools) {
    const found = await run("sh", ["-c", `command -v ${tool} || test -e ${tool}`]);
    if (found.code !== 0) packages.push(debianPackage);
  }
  if (packages.length > 0) {
    return [`programs are missing: apt-get install --no-install-recommends ${packages.join(" ")}`];
  }
  const namespaces = await run("unshare", ["--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]);
  if (namespaces.code !== 0) return [`namespaces cannot be made here: ${namespaces.stderr.trim()}`];
  return [];
}

/** The same for those of its scenarios that need another Debian; without it they are skipped. */
export async function missingDebianRoots(): Promise<string[]> {
  const missing: string[] = [];
  if (!(await hasForky())) missing.push(`there is no Postfix 3.11 in ${forkyFolder}: ${howToMake("forky")}`);
  if (!(await hasBookworm()))
    missing.push(`there is no Debian 12 in ${bookwormFolder}: ${howToMake("bookworm")}`);
  return missing;
}

function howToMake(root: string): string {
  const install = "apt-get install --no-install-recommends debootstrap gpgv debian-archive-keyring";
  return `${install} && tools/runtime/node test/e2e/${root}.ts`;
}
