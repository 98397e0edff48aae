/** Clients as smtp(8) processes are: each has a connection for a handful of questions, one at a time, for 100 s at most. */
import { SocketmapClient, TcpTableClient } from "../../helpers/postfix-client.ts";

/** Questions of one connection, at most. */
const QUESTIONS = 20;
/** Milliseconds that Postfix keeps a connection. */
const LIFETIME = 100_000;
/** So many are open at once, and more where these are busy. */
const LEAST_OPEN = 200;
/** One in so many has no more to ask and stays open until its time is over. */
const IDLE_PART = 50;
/** Of the connections, those that speak tcp_table. */
const TCP_TABLE_PART = 0.4;

/** What both protocols say, in one form. */
export interface Told {
  readonly status: "OK" | "NOTFOUND" | "failure";
  readonly text: string;
}

interface Session extends Disposable {
  ask(key: string): Promise<Told>;
  readonly endsAt: number;
  left: number;
}

export class Sessions implements Disposable {
  readonly #socketmap: string;
  readonly #tcpTable: string;
  readonly #random: () => number;
  #idle: Session[] = [];
  #done: Session[] = [];
  /** Connections so far. */
  opened = 0;
  /** Connections now. */
  open = 0;

  /** `socketmap` and `tcpTable` are addresses. */
  constructor(socketmap: string, tcpTable: string, random: () => number) {
    this.#socketmap = socketmap;
    this.#tcpTable = tcpTable;
    this.#random = random;
  }

  /** Throws where Postfix would defer the mail. */
  async ask(key: string): Promise<Told> {
    const session = this.#take() ?? (await this.#open());
    try {
      const told = await session.ask(key);
      this.#giveBack(session);
      return told;
    } catch (error) {
      session[Symbol.dispose]();
      throw error;
    }
  }

  /** Closes the connections whose time is over. */
  sweep(): void {
    const now = performance.now();
    const isOver = (session: Session): boolean => session.endsAt <= now;
    for (const session of [...this.#idle, ...this.#done].filter(isOver)) session[Symbol.dispose]();
    this.#idle = this.#idle.filter((session) => !isOver(session));
    this.#done = this.#done.filter((session) => !isOver(session));
  }

  /** Closes all connections that are not waiting for an answer. */
  hangUp(): void {
    for (const session of [...this.#idle, ...this.#done]) session[Symbol.dispose]();
    this.#idle = [];
    this.#done = [];
  }

  [Symbol.dispose](): void {
    this.hangUp();
  }

  /** Any of them, so that each has its pauses. */
  #take(): Session | undefined {
    if (this.#idle.length < LEAST_OPEN) return undefined;
    const at = Math.floor(this.#random() * this.#idle.length);
    const session = this.#idle[at];
    const last = this.#idle.pop();
    if (session !== last && last !== undefined) this.#idle[at] = last;
    return session;
  }

  #giveBack(session: Session): void {
    if (--session.left > 0) this.#idle.push(session);
    else if (this.#random() < 1 / IDLE_PART) this.#done.push(session);
    else session[Symbol.dispose]();
  }

  async #open(): Promise<Session> {
    this.opened++;
    const limits = {
      endsAt: performance.now() + LIFETIME,
      left: 1 + Math.floor(this.#random() * QUESTIONS),
    };
    if (this.#random() < TCP_TABLE_PART) {
      const client = await TcpTableClient.connect(this.#tcpTable);
      this.open++;
      const ask = async (key: string): Promise<Told> => {
        const { code, text } = await client.query(key);
        const status = code === 200 ? "OK" : code === 500 ? "NOTFOUND" : "failure";
        return { status, text };
      };
      return { ...limits, ask, [Symbol.dispose]: () => this.#close(client) };
    }
    const client = await SocketmapClient.connect(this.#socketmap);
    this.open++;
    const ask = async (key: string): Promise<Told> => {
      const { status, text } = await client.query("postfix", key);
      return { status: status === "OK" || status === "NOTFOUND" ? status : "failure", text };
    };
    return { ...limits, ask, [Symbol.dispose]: () => this.#close(client) };
  }

  /** Once each. */
  #close(client: Disposable): void {
    this.open--;
    client[Symbol.dispose]();
  }
}
