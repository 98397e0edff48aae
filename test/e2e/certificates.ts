import { mkdir, readFile, writeFile } from "node:fs/promises";
import { mustRun } from "./process.ts";

/** A validity of the past, in the form of `openssl ca`. */
const expired = { from: "20200101000000Z", to: "20200201000000Z" };
const current = { from: "20200101000000Z", to: "20491231000000Z" };

const authorityConfig = (folder: string) => `
[ca]
default_ca = world
[world]
database = ${folder}/index.txt
new_certs_dir = ${folder}
certificate = ${folder}/ca.pem
private_key = ${folder}/ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
[req]
distinguished_name = empty
[empty]
`;

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** The private authority that policy hosts and receivers have their certificates from. */
export class CertificateAuthority {
  readonly #folder: string;
  readonly #config: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#config = `${folder}/openssl.cnf`;
  }

  static async create(folder: string): Promise<CertificateAuthority> {
    const authority = new CertificateAuthority(folder);
    await mkdir(folder, { recursive: true });
    await writeFile(authority.#config, authorityConfig(folder));
    await writeFile(`${folder}/index.txt`, "");
    const subject = ["-subj", "/CN=stsmapd test authority", "-days", "3650"];
    const extension = ["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=keyCertSign"];
    const files = ["-keyout", `${folder}/ca.key`, "-out", authority.rootFile];
    await authority.#openssl("req", ["-x509", ...newKey, ...subject, ...extension, ...files]);
    return authority;
  }

  /** The authority's own certificate, for those who are to trust it. */
  get rootFile(): string {
    return `${this.#folder}/ca.pem`;
  }

  /** Issues a certificate for a host name. Returns a PEM file with key and certificate. */
  issue(hostname: string): Promise<string> {
    return this.#issue(hostname, current);
  }

  /** The same, but it expired years ago. */
  issueExpired(hostname: string): Promise<string> {
    return this.#issue(hostname, expired);
  }

  /** A certificate for a host name that nobody vouches for. Returns a PEM file with key and certificate. */
  async selfSigned(hostname: string): Promise<string> {
    const base = `${this.#folder}/self-signed-${hostname}`;
    const files = ["-keyout", `${base}.key`, "-out", `${base}.crt`];
    await this.#openssl("req", ["-x509", ...newKey, ...this.#subject(hostname), "-days", "3650", ...files]);
    return this.#join(base);
  }

  async #issue(hostname: string, validity: typeof current): Promise<string> {
    const base = `${this.#folder}/${hostname}`;
    const request = ["-keyout", `${base}.key`, "-out", `${base}.csr`];
    await this.#openssl("req", ["-new", ...newKey, ...this.#subject(hostname), ...request]);
    const files = ["-in", `${base}.csr`, "-out", `${base}.crt`];
    const dates = ["-startdate", validity.from, "-enddate", validity.to];
    await this.#openssl("ca", ["-batch", "-notext", ...dates, ...files]);
    return this.#join(base);
  }

  #subject(hostname: string): string[] {
    return ["-subj", "/CN=stsmapd test host", "-addext", `subjectAltName=DNS:${hostname}`];
  }

  async #join(base: string): Promise<string> {
    await writeFile(
      `${base}.pem`,
      (await readFile(`${base}.key`, "utf8")) + (await readFile(`${base}.crt`, "utf8")),
    );
    return `${base}.pem`;
  }

  async #openssl(command: string, args: readonly string[]): Promise<void> {
    await mustRun("openssl", [command, "-config", this.#config, ...args]);
  }
}
