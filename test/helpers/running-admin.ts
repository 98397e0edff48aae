import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { listenAdmin } from "../../src/server/admin.ts";
import type { AdminRoute, AdminServer, AdminServerOptions } from "../../src/server/admin.ts";

/** An admin server on a socket of its own, and clients of it. */
export class RunningAdmin implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "stsmapd-admin-"));
  readonly path = join(this.folder, "admin.sock");
  readonly errors: unknown[] = [];
  #server: AdminServer | undefined;

  async start(
    routes: readonly AdminRoute[],
    more: Pick<AdminServerOptions, "idleTimeout"> = {},
  ): Promise<this> {
    const options = { path: this.path, mode: 0o660, owner: undefined, group: undefined, ...more };
    this.#server = await listenAdmin(options, routes, (error) => this.errors.push(error));
    return this;
  }

  async ask(method: string, path: string, body?: string): Promise<{ status: number; text: string }> {
    const call = request({ socketPath: this.path, method, path, agent: false });
    call.on("error", () => {});
    call.end(body);
    const [response] = await once(call, "response");
    return { status: response.statusCode, text: await text(response) };
  }

  async raw(): Promise<Socket> {
    const socket = connect(this.path);
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true });
  }
}
