/** Texts of the Hub Bar: search, notifications, leaving for another product. */
import type { Shown } from "./nouns.ts";

export const hubLeave = {
  leaveWithoutSaving: "Leave without saving?",
  whatYouTypedPage: "What you typed on this page is not saved, and will be lost.",
  leave: "Leave",
  stayHere: "Stay here",
  youSignedAgain: "You are signed in again",
  youAreSignedOut: "You are signed out",
  signInAgain: "Sign in again",
  yourSessionHasEnded: "Your session has ended",
  whatYouTypedStill:
    "What you typed is still on this page. Sign in again in a new tab, then come back to this one and go on.",
  iHaveSignedIn: "I have signed in",
  nobodySignedYetFinish: "Nobody is signed in yet. Finish signing in in the other tab.",
};

export const hubNotifications = {
  notifications: "Notifications",
  notificationsNone: "Notifications: none",
  notifications2: (badge: Shown) => `Notifications: ${badge}`,
  whatNeedsYouNow: "What needs you now",
  nothingNeedsYouNow: "Nothing needs you now",
  jobsFailAgentsMissed:
    "Jobs that fail, agents that are missed, and storage that wants a new sign-in appear here.",
  thereMoreAppearsHere: "There is more. It appears here as these are done.",
  and: (unnamed: Shown) => `and ${unnamed}`,
};

export const hubSearch = {
  search: "Search",
  nameClientProjectJob: "Name of a client, project, job or agent",
  clientProjectJobAgent: "A client, project, job or agent",
  found: "Found",
  typePartName: "Type a part of a name.",
  searching: "Searching…",
  nothingIsCalledThat: "Nothing is called that.",
  found2: (count: Shown) => `${count} found.`,
  tryAgain: "Try again",
};

export const hubWords = {
  clients: "Clients",
  thereMoreClientsType: "There are more clients. Type more of the name.",
  projects: "Projects",
  thereMoreProjectsType: "There are more projects. Type more of the name.",
  jobs: "Jobs",
  thereMoreJobsType: "There are more jobs. Type more of the name.",
  agents: "Agents",
  thereMoreAgentsType: "There are more agents. Type more of the name.",
  microsoftAsksNewSign: "Microsoft asks for a new sign-in",
  noProjectWaits: "No project waits for it.",
  projectWaits: "A project waits for it:",
  waitForIt: (projectCount: Shown) => `${projectCount} wait for it:`,
  connectItAnew: "Connect it anew",
  adminConnectsAnew: "An admin connects it anew",
  storageConnectionHasLapsed: "A storage connection has lapsed",
  storageConnectionLapsesSoon: "A storage connection lapses soon",
  itWasGoodUntil: (at: Shown) => `It was good until ${at}.`,
  itIsGoodUntil: (at: Shown) => `It is good until ${at}.`,
  connectTheStorageAnew: "Connect the storage anew",
  adminConnectsStorageAnew: "An admin connects the storage anew",
  aJobFailed: "A job failed",
  seeWhyThenRetry: "See why, then retry it",
  seeWhy: "See why",
  agentWaitsApproval: "An agent waits for approval",
  doesNothingUntilSomebody: "It does nothing until somebody has looked at it.",
  approveOrRefuseIt: "Approve or refuse it",
  anAdminApprovesIt: "An admin approves it",
  anAgentIsLocked: "An agent is locked",
  identityUsedFromTwo: "Its identity was used from two places.",
  findOutWhichRight: "Find out which is the right one, then unlock it",
  anAdminUnlocksIt: "An admin unlocks it",
  anAgentIsOffline: "An agent is offline",
  jobWaits: "A job waits for it.",
  waitForIt2: (activeJobCount: Shown) => `${activeJobCount} wait for it.`,
  startMachine: "Start it on its machine",
};
