/** Texts of the page of downloads. */
import type { Shown } from "./nouns.ts";

export const downloadsPage = {
  downloads: "Downloads",
  agentOneProgramMachine: "The agent: one program on a machine that can read the files.",
  registerAgent: "Register agent",
  thereNoFinishedDownload:
    "There is no finished download yet. Whoever runs this dashboard makes the program from its source, with the command below, and hands it on together with its SHA-256.",
  notInThisRelease:
    "The newest release does not have every program of this system. Those that are missing are made from the source, with the command below.",
  version: "Version",
  versionOf: (version: Shown, date: Shown) => `${version}, of ${date}`,
  forMachine: (machine: Shown) => `For ${machine}`,
  download: "Download",
  sizeOfTheProgram: (size: Shown) => `One program of ${size}. It needs no installer.`,
  itsSha256: "Its SHA-256. Compare it with what the command at the end prints on the machine itself.",
  systemOfTheMachine: "System of the machine",
  whatTheAgentKeeps: "What the agent keeps",
  needs: "Needs",
  memory: "Memory",
  up200MbWhile: "Up to 200 MB while it moves files.",
  tried: "Tried",
  onX64: "On x64.",
  notByUsYet: "Not by us yet.",
  keepsItsFilesIn: "Keeps its files in",
  makeItFor: (machine: Shown) => `Make it for ${machine}`,
  folderSourceProgramThen: "In the folder of the source. The program is then in dist/agent.",
  checkIt: "Check it",
  machineWhereRunWhat:
    "On the machine where it is to run. What is printed is to be what you were given with the program; if not, do not run it.",
  copy: "Copy",
  whoeverLooksAfterFirewall: "For whoever looks after the firewall",
  agentOnlyCallsOut:
    "The agent only calls out, over TCP. Nothing calls it, so no port has to be opened towards it.",
  proxyTakenFromHttps: "A proxy is taken from HTTPS_PROXY. It has to let WebSockets through.",
  whereProxyOpensTls:
    "Where a proxy opens TLS, DENO_CERT names the file with the certificate of its authority.",
  filesGoStraightStorage: "The files go straight to the storage account, and never through this dashboard.",
  httpsWebsocketWhatDone: "HTTPS and WebSocket. What is to be done, and how far it is.",
  httpsFilesThemselvesOnce:
    "HTTPS. The files themselves. Once a storage account is connected, its own name stands here.",
  httpsFilesThemselvesStorage: (account: Shown) =>
    `HTTPS. The files themselves, for the storage account ${account}.`,
};
