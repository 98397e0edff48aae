import { runInTerminal } from "../e2e/process.ts";

/** Where run.ts has the packages made; the machines see it as /mnt/shared. */
export const packageFolder = process.env["PACKAGE_FOLDER"] ?? "";

/**
 * Makes in `folder` the package for both architectures, and a later version of the one for amd64. Returns an exit status.
 */
export async function buildPackages(folder: string): Promise<number> {
  const build = ["tools/deb/build.ts", "--level=0", `--out=${folder}`];
  const statuses = await Promise.all(
    ["amd64", "arm64"].map((arch) => runInTerminal(process.execPath, [...build, `--arch=${arch}`])),
  );
  const failed = statuses.find((status) => status !== 0);
  return failed ?? runInTerminal("sh", ["-ec", laterVersion], { FOLDER: folder });
}

/** The next version is the first with another number, and with a configuration file that has a line more. */
const laterVersion = `
  cd "$FOLDER"
  dpkg-deb --raw-extract stsmapd_*-1_amd64.deb next
  sed -i 's/^\\(Version: .*\\)-1$/\\1-2/' next/DEBIAN/control
  echo '# New in this version.' >>next/etc/stsmapd/stsmapd.yaml
  dpkg-deb --root-owner-group -Zxz -z0 --build next . >/dev/null
  rm -r next`;
