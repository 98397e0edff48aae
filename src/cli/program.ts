/** The command line: arguments to command, failure to exit status. */
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";

import { parseListenAddress } from "../net/listen-address.ts";
import type { ListenAddress } from "../net/listen-address.ts";
import { VERSION } from "../version.ts";
import { addCacheCommands } from "./cache-commands.ts";
import { SHELLS } from "./completion/shells.ts";
import type { Shell } from "./completion/shells.ts";
import { ExitCode } from "./exit-code.ts";
import type { DoctorOptions } from "./doctor.ts";
import type { Question } from "../server/lookup-client.ts";

const CONFIG_OPTION = new Option("-c, --config <file>", "configuration file, YAML")
  .env("STSMAPD_CONFIG")
  .default(undefined, "/etc/stsmapd/stsmapd.yaml, if there is one");

/** Takes the exit status of the command that was run. */
type Finish = (status: number) => void;

/**
 * Runs the command that `argv` (as in process.argv) names.
 *
 * @returns the exit status
 */
export async function run(argv: readonly string[]): Promise<number> {
  let status: number = ExitCode.ok;
  const program = createProgram((result) => {
    status = result;
  });
  try {
    await program.parseAsync([...argv]);
    return status;
  } catch (error) {
    // Commander has printed its message; help and version end here too, with status 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    const { reportFailure } = await import("./report-failure.ts");
    return reportFailure(error);
  }
}

/**
 * All commands and their options. The completions and the tests of the manual pages read them from here.
 * Each command's code is loaded only when it is called, so that none waits for what another needs.
 */
export function createProgram(finish: Finish): Command {
  const program = new Command("stsmapd")
    .description(
      "Answers Postfix, over socketmap or tcp_table, with the MTA-STS policies (RFC 8461) of next hops.",
    )
    .version(VERSION, "-V, --version")
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError("(stsmapd --help lists the commands)");
  addServe(program, finish);
  addCheck(program, finish);
  addQuery(program, finish);
  addHealth(program, finish);
  addCacheCommands(program.command("cache"), CONFIG_OPTION, finish);
  addDoctor(program, finish);
  addConfig(program, finish);
  addCompletion(program, finish);
  return program;
}

function addServe(program: Command, finish: Finish): void {
  program
    .command("serve")
    .description("run the daemon in the foreground until SIGTERM or SIGINT")
    .addOption(CONFIG_OPTION)
    .addHelpText("after", SERVE_HELP)
    .action(async (options: { config?: string }) => {
      const { serve } = await import("./serve.ts");
      finish(await serve(options));
    });
}

function addCheck(program: Command, finish: Finish): void {
  program
    .command("check")
    .description(
      "resolve the policy of a next hop now, without the daemon or its cache, and explain every step",
    )
    .argument("<next-hop>", "as Postfix writes it: example.com, [mx.example.com]:587")
    .option("--json", "print JSON")
    .addOption(CONFIG_OPTION)
    .addHelpText("after", CHECK_HELP)
    .action(async (nextHop: string, options: { config?: string; json?: boolean }) => {
      const { check } = await import("./check.ts");
      finish(await check(nextHop, options));
    });
}

function addQuery(program: Command, finish: Finish): void {
  program
    .command("query")
    .description("ask the running daemon as Postfix would, and print its reply")
    .argument("<next-hop>", "as Postfix writes it: example.com, [mx.example.com]:587")
    .option("-m, --map <name>", "map name to ask for (socketmap)", "postfix")
    .option(
      "-s, --server <address>",
      "host:port, [v6]:port or unix:/path (default: the first listener configured)",
      parseServer,
    )
    .addOption(
      new Option("-p, --protocol <protocol>", "default: that listener's, else socketmap").choices([
        "socketmap",
        "tcp_table",
      ]),
    )
    .addOption(CONFIG_OPTION)
    .addHelpText("after", QUERY_HELP)
    .action(
      async (
        nextHop: string,
        options: { config?: string; map: string; server?: ListenAddress; protocol?: Question["protocol"] },
      ) => {
        const { query } = await import("./query.ts");
        finish(await query(nextHop, options));
      },
    );
}

function addDoctor(program: Command, finish: Finish): void {
  program
    .command("doctor")
    .description(
      "look at this machine, Postfix and the daemon, and print the command that mends what is wrong",
    )
    .option("-C, --postfix-config <dir>", "folder of main.cf, for one of several Postfix instances")
    .option("--probe <domain>", "a domain with a policy, fetched to try DNS and HTTPS", "gmail.com")
    .option("--no-probe", "fetch no policy")
    .option("--json", "print JSON")
    .addOption(CONFIG_OPTION)
    .addHelpText("after", DOCTOR_HELP)
    .action(async (options: DoctorOptions) => {
      const { doctor } = await import("./doctor.ts");
      finish(await doctor(options));
    });
}

function addHealth(program: Command, finish: Finish): void {
  program
    .command("health")
    .description("ask the running daemon whether it answers: nothing is printed, the exit status says it")
    .addOption(CONFIG_OPTION)
    .addHelpText("after", HEALTH_HELP)
    .action(async (options: { config?: string }) => {
      const { health } = await import("./health.ts");
      finish(await health(options));
    });
}

function addConfig(program: Command, finish: Finish): void {
  program
    .command("config")
    .description("print the effective configuration: file, environment and defaults together")
    .option("--check", "print nothing unless it is wrong")
    .addOption(CONFIG_OPTION)
    .action(async (options: { config?: string; check?: boolean }) => {
      const { config } = await import("./config.ts");
      finish(config(options));
    });
}

function addCompletion(program: Command, finish: Finish): void {
  program
    .command("completion")
    .description("print a script with which a shell completes these commands")
    .addArgument(new Argument("<shell>", "whose script").choices(SHELLS))
    .addHelpText("after", COMPLETION_HELP)
    .action(async (shell: Shell) => {
      const { completion } = await import("./completion.ts");
      finish(completion(program, shell));
    });
}

function parseServer(text: string): ListenAddress {
  const address = parseListenAddress(text);
  if (address === undefined) throw new InvalidArgumentError("Want host:port, [v6]:port or unix:/path.");
  return address;
}

const SERVE_HELP = `
Without a configuration file it listens for socketmap on 127.0.0.1:8461. In Postfix's main.cf:
  smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix
With smtp_tls_security_level = dane and smtp_dns_support_level = dnssec; beside may, set maps: { postfix: { dane: ignore } }.

Exit status: 0 stopped, 69 an address could not be listened on, 73 the cache could not be opened, 78 the configuration is wrong.`;

const CHECK_HELP = `
Exit status: 0 there is a policy, 1 there is none, 2 it cannot be told (DNS or the policy host failed).`;

const QUERY_HELP = `
Exit status: 0 OK, 1 not found, 2 temporary or permanent failure, 69 the daemon does not answer.`;

const COMPLETION_HELP = `
For this session of bash:  . <(stsmapd completion bash)
For every one, as root:
  stsmapd completion bash >/usr/share/bash-completion/completions/stsmapd
  stsmapd completion zsh >/usr/share/zsh/vendor-completions/_stsmapd
  stsmapd completion fish >/usr/share/fish/vendor_completions.d/stsmapd.fish`;

const DOCTOR_HELP = `
Changes nothing. Run it as root, or it cannot look at everything.
Exit status, by the worst of what it found: 0 ok, 1 warning or unknown, 2 problem.`;

const HEALTH_HELP = `
It asks the first listener of the configuration, over its protocol, as Postfix would.

Exit status: 0 it answers, 69 it does not.`;
