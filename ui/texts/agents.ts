/** Texts of the agents' pages and of their registration. */

export const agentApprovals = {
  agent: "Agent",
  system: "System",
  registered: "Registered",
  approve: "Approve",
  refuse: "Refuse",
  waitingForYourApproval: "Waiting for your approval",
  agentsWaitApproval: "Agents that wait for approval",
  refuseAgent: "Refuse agent",
  notNow: "Not now",
  keyVoidOnceIf:
    "Its key is void at once. If it was one of yours after all, the machine registers again with a new code.",
};

export const agentFacts = {
  windows10WindowsServer: "Windows 10, Windows Server 2016, or newer, on x64. No rights of an administrator.",
  getFilehashMigrateAgent: "Get-FileHash .\\migrate-agent.exe -Algorithm SHA256",
  personWhoRuns: "of the person who runs it",
  macAppleSiliconIntel: "A Mac with Apple silicon or an Intel processor. No rights of an administrator.",
  appleSilicon: "Apple silicon",
  intel: "Intel",
  linuxGlibc227: "Linux with glibc 2.27 or newer, on x64 or arm64. No rights of root.",
  runByRoot: "run by root",
  addressControlPlaneAgents: "The address of the control plane and the agent's key. Keep it to yourself.",
  whatWantedJobsHow: "What is wanted of its jobs, and how far that got.",
  eachJobJournalSo: "For each job a journal, so that it goes on where it stopped.",
  listsWhatMovedSha: "Lists of what was moved, with the SHA-256 of each file.",
  whatItTellsStatus: "How it stands, for whoever asks on its machine: migrate-agent status reads it.",
  itsLogAtMost: "Its log, at most 25 MB of it: migrate-agent logs shows it.",
  yoursIfYouWrite:
    "Yours, if you write one: the folders that may be read, where files may be sent, and whose files may ever be removed.",
};

export const agentPage = {
  now: "Now",
  never: "Never",
  agent: "Agent",
  agents: "Agents",
  unlock: "Unlock",
  edit: "Edit",
  revoke: "Revoke",
  agentsIdentityUsedFrom:
    "This agent's identity was used from two places: somebody copied the machine or its files, or set it back to an older state. It moves nothing until that is cleared up. If the machine was only restored, unlock it; otherwise revoke it and register it anew. Its jobs wait.",
  unlockThisAgent: "Unlock this agent?",
  unlockAgent: "Unlock agent",
  leaveItLocked: "Leave it locked",
  machineConnectsNextBelieved:
    "The machine that connects next is believed to be this agent. Make sure that no copy of it runs.",
  revokeThisAgent: "Revoke this agent?",
  revokeAgent: "Revoke agent",
  keepIt: "Keep it",
  keyStopsWorkingOnce:
    "Its key stops working at once and it can move nothing more. This cannot be undone; the machine can be registered again with a new code.",
  machine: "Machine",
  system: "System",
  version: "Version",
  label: "Label",
  client: "Client",
  lastSeen: "Last seen",
  connection: "Connection",
  longPollAsWebsockets: "Long poll, as WebSockets do not pass: words take some seconds",
  activeJobs: "Active jobs",
  freeDisk: "Free disk",
  registered: "Registered",
  editAgent: "Edit agent",
  save: "Save",
  name: "Name",
  noClient: "No client",
};

export const agents = {
  giveAName: "Give a name",
  agentRevokedKeyNo: "Agent revoked. Its key no longer works",
  agentUnlockedMachineConnects: "Agent unlocked. The machine that connects next is this agent",
};

export const agentsPage = {
  whichAgents: "Which agents",
  allAgents: "All agents",
  registerAnAgent: "Register an agent",
  agents: "Agents",
  programsYourCustomersSites: "The programs at your customers' sites that move the files.",
  agents2: "agents",
  noAgentsYet: "No agents yet",
  agentRunsMachineCan:
    "An agent runs on a machine that can read the files. It needs no open port, only the way out over HTTPS.",
  agent: "Agent",
  status: "Status",
  lastSeen: "Last seen",
  now: "Now",
  jobs: "Jobs",
  system: "System",
  version: "Version",
};

export const registerAgentPage = {
  registerAnAgent: "Register an agent",
  agents: "Agents",
  makeCodeHereType:
    "Make a code here, type it on the machine that can read the files. The agent then appears by itself.",
  onlyAdminOwnerRegisters: "Only an admin or the owner registers agents.",
  generateCode: "Generate Code",
  label: "Label",
  helpsTellCodesApart: "Helps to tell the codes apart, such as the site's name.",
  validFor: "Valid for",
  codeHasExpiredNo: "The code has expired and no agent used it.",
  makeANewCode: "Make a new code",
  registrationCode: "Registration code",
  copyCode: "Copy code",
  worksOnceForAnother: "Works once, for another ",
  shownOnlyNow: ". It is shown only now.",
  systemOfTheMachine: "System of the machine",
  youDoNotHave: ". You do not have it there yet? ",
  getTheAgent: "Get the agent",
  waitingForTheAgent: " Waiting for the agent…",
  copy: "Copy",
  isRegistered: " is registered",
  agent: " · agent ",
  openTheAgent: "Open the agent",
  registerAnother: "Register another",
};

export const registerCommand = {
  windows: "Windows",
  linux: "Linux",
  powershellFolderHoldsMigrate: "In PowerShell, in the folder that holds migrate-agent.exe",
  terminalFolderHoldsMigrate: "In Terminal, in the folder that holds migrate-agent",
  shellFolderHoldsMigrate: "In a shell, in the folder that holds migrate-agent",
  registerRunNow: "Register and run it now",
  movesFilesAsLong: "It moves files as long as this window is open.",
  installForGood: "Or install it for good, unattended",
  taskOfTheScheduler:
    "As an administrator, with install.ps1 beside migrate-agent.exe. A task of the Task Scheduler starts it with the machine, as SYSTEM.",
  startedByLaunchd: "With install.sh beside migrate-agent. launchd starts it with the machine.",
  startsWithTheMachine:
    "On Debian and Ubuntu, with the package. systemd starts it with the machine, under an account of its own that reads every file and writes nothing but its state.",
  startItAgainLater: "Start it again later",
  withoutCodeRemembersWho:
    "Without a code: it remembers who it is, and goes on with its jobs where they stopped.",
};

export const registrationCodes = {
  registrationCodeRevoked: "Registration code revoked",
};

export const registrationCodesPage = {
  registrationCodes: "Registration codes",
  eachRegistersOneMachine:
    "Each registers one machine as an agent, once. The codes themselves are shown only when they are made.",
  registerAnAgent: "Register an agent",
  codes: "Codes",
  noCodesYet: "No codes yet",
  codeRegistersOneAgent:
    "A code registers one agent, once. Make one, and type it on the machine that can read the files.",
  revokeThisCode: "Revoke this code?",
  revokeCode: "Revoke code",
  keepIt: "Keep it",
  noAgentCanRegistered: "No agent can be registered with it any more.",
  code: "Code",
  withoutALabel: "Without a label",
  status: "Status",
  agent: "Agent",
  open: "Open",
  made: "Made",
  validUntil: "Valid until",
  revoke: "Revoke",
};
