import { mkdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { worldFolder } from "./namespaces.ts";
import { mx } from "./receivers.ts";
import { Sender } from "./sender.ts";
import { missingForSystemd, SystemdMachine } from "./systemd-machine.ts";
import { type MailDomain, policy, World } from "./world.ts";

const missing = await missingForSystemd();

// The recipe of systemd/README.md, with the very paths it names: `worldFolder` is Postfix's usual queue folder.
const SOCKET_FOLDER = `${worldFolder}/stsmapd`;
const SOCKET = `${SOCKET_FOLDER}/socketmap`;

/** As Debian has `smtp` in master.cf: `y`, in a chroot. */
const CHROOTED = "chrooted  unix  -  -  y  -  -  smtp\n";

describe.skipIf(missing !== undefined)(
  `Postfix's chroot and a unix socket (${missing ?? "systemd as process 1"})`,
  () => {
    let world: World;
    let machine: SystemdMachine;
    let sender: Sender;
    let enforced: MailDomain;

    beforeAll(async () => {
      world = await World.start("chroot");
      await world.stsmapd.stop();
      await mkdir(SOCKET_FOLDER, { recursive: true });
      machine = await SystemdMachine.start(`${world.folder}/machine`);
      await machine.mustRun("install", ["-d", "-o", "stsmapd", "-g", "postfix", "-m", "2750", SOCKET_FOLDER]);

      sender = new Sender(`${world.folder}/chrooted`, world.authority.rootFile, {
        queue_directory: worldFolder,
        default_transport: "chrooted",
        smtp_tls_policy_maps: "socketmap:unix:/stsmapd/socketmap:postfix",
      });
      world.senders.push(sender);
      await sender.postfix.start(CHROOTED);
      const sts = { id: "1", policy: policy("enforce", [mx.good]) };
      enforced = await world.publish({ name: "chroot.example", mx: [mx.good], sts });
    }, 120_000);
    afterAll(async () => {
      await machine?.stop();
      await world?.stop();
    });

    // By the path in main.cf, which leads to the socket in the chroot and nowhere else.
    const expectDelivery = async () => {
      expect(await world.send(enforced, sender)).toMatchObject({ status: "sent", tls: "Verified" });
    };
    const access = () => machine.mustRun("stat", ["-c", "%U %G %a", SOCKET]);

    it("the daemon's own listener is reached from within", async () => {
      const listen = `listen:\n  - { protocol: socketmap, address: unix:${SOCKET} }\n`;
      await machine.write("/etc/stsmapd/stsmapd.yaml", world.stsmapd.networkSettings() + listen);
      await machine.systemctl("start", "stsmapd.service");
      expect(await access()).toBe("stsmapd postfix 660\n");
      await expectDelivery();
      await machine.systemctl("stop", "stsmapd.service");
    });

    it("a socket that systemd holds is reached from within, and starts the service", async () => {
      await machine.write("/etc/stsmapd/stsmapd.yaml", world.stsmapd.networkSettings());
      const listen = `ListenStream=\nListenStream=${SOCKET}\nSocketGroup=postfix\n`;
      await machine.dropIn("stsmapd.socket", `[Socket]\n${listen}`);
      await machine.systemctl("start", "stsmapd.socket");
      expect(await access()).toBe("stsmapd postfix 660\n");
      await expectDelivery();
      await machine.reports(`answering on unix:${SOCKET}`);
      await machine.systemctl("stop", "stsmapd.service", "stsmapd.socket");
    });
  },
);
