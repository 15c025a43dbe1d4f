/** Texts of the frame around every page, of what stands on many pages (states, phases, causes), and of figures. */
import type { Shown } from "./nouns.ts";

export const api = {
  serverCannotReachedCheck: "The server cannot be reached. Check the connection and try again",
  somethingWentWrongPage: "Something went wrong on this page. Reload it and try again",
  serverDidNotAnswer: "The server did not answer as it should. Try again in a moment",
};

export const app = {
  dashboard: "Dashboard",
  clients: "Clients",
  projects: "Projects",
  jobs: "Jobs",
  agents: "Agents",
  reports: "Reports",
  downloads: "Downloads",
  settings: "Settings",
  loading: "Loading",
  migrateCouldNotLoaded: "Migrate could not be loaded",
  tryAgain: "Try again",
  main: "Main",
  more: "More",
  allApps: "All apps",
  migrate: "Migrate",
  accountOf: (name: Shown) => `Account of ${name}`,
  couldNotSignOut: "Could not sign out. Try again",
  signOut: "Sign out",
};

export const contract = {
  agentsAccountMayNot: "The agent's account may not read it",
  itCannotBeRead: "It cannot be read",
  goneWhenTurnCame: "It was gone when its turn came",
  keptChangingWhileRead: "It kept changing while it was read",
  anotherProgramHasLocked: "Another program has locked it",
  destinationCannotHoldName: "The destination cannot hold this name",
  largerThanDestinationCan: "It is larger than the destination can hold",
  somethingElseNameDestination: "Something else of this name is at the destination",
  theDestinationDeniesAccess: "The destination denies access",
  destinationCouldNotReached: "The destination could not be reached",
  theDestinationRefusedIt: "The destination refused it",
  whatDestinationHoldsNot: "What the destination holds is not what was sent",
  projectHasNoAzure: "Project has no Azure connection",
  sourceFolderDoesNot: "The source folder does not exist on the agent's machine",
  agentsAccountCannotRead: "The agent's account cannot read the source folder",
  agentRefusesSourcePath: "The agent refuses this source path",
  agentRefusesDestination: "The agent refuses this destination",
  storageAccountCannotReached: "The storage account cannot be reached from the agent's machine",
  storageAccountDeniesAccess: "The storage account denies access",
  containerDoesNotExist: "The container does not exist",
  agentDoesNotUnderstand: "The agent does not understand this job",
  agentsJournalJobDamaged: "The agent's journal of this job is damaged",
  agentMetUnexpectedError: "The agent met an unexpected error",
};

export const fileName = {
  characterCannotSeen: "A character that cannot be seen",
};

export const format = {
  aMoment: "a moment",
  min: (round: Shown) => `${round} min`,
  justNow: "just now",
  minAgo: (round: Shown) => `${round} min ago`,
  hAgo: (round: Shown) => `${round} h ago`,
};

export const hubSearchButton = {
  search: "Search",
  ctrlK: "Ctrl K",
};

export const jobProgress = {
  progressOf: (name: Shown) => `Progress of ${name}`,
  passDone: "Pass done",
  waiting: "Waiting",
  storageUnreachable: "Storage unreachable",
  agentsDiskFull: "Agent's disk full",
  lockedFiles: "Locked files",
  waitsNextPass: "Waits for the next pass",
  reconnectAzureStorage: "Reconnect Azure storage",
  agentOffline: "Agent offline",
  left: (secondsRemaining: Shown) => ` · ${secondsRemaining} left`,
  notStarted: "Not started",
  found: (bytesTotal: Shown) => `${bytesTotal} found`,
  of: (done: Shown, bytesTotal: Shown) => `${done} of ${bytesTotal}`,
};

export const jobTable = {
  job: "Job",
  agent: "Agent",
  progress: "Progress",
  status: "Status",
  created: "Created",
  jobs: "Jobs",
};

export const later = {
  loading: "Loading",
  pageCouldNotLoaded: "This page could not be loaded",
  loadItAnew: "Load it anew",
  connectionGoneThereNew: "The connection is gone, or there is a new version.",
};

export const loaded = {
  notUpToDate: "Not up to date: ",
  notFound: "Not found",
  doesNotExistNot: "It does not exist, or not in your organization.",
  couldNotLoaded: "This could not be loaded",
  tryAgain: "Try again",
  loading: "Loading",
};

export const notFoundPage = {
  notFound: "Not found",
  thereNoSuchPage: "There is no such page",
  toTheDashboard: "To the dashboard",
};

export const signedOutPage = {
  signInMigrate: "Sign in · Migrate",
  yourSessionHasEnded: "Your session has ended",
  migrate: "Migrate",
  signAgainYouBack: "Sign in again, and you are back on the page you were on.",
  moveYourCustomersFiles: "Move your customers' files to the cloud, watched live and proved at the end.",
  signInAgain: "Sign in again",
  signIn: "Sign in",
};

export const toastList = {
  dismiss: "Dismiss",
};

export const words = {
  created: "Created",
  scanning: "Scanning",
  ready: "Ready",
  running: "Running",
  paused: "Paused",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  planning: "Planning",
  inProgress: "In progress",
  reconnectAzure: "Reconnect Azure",
  online: "Online",
  offline: "Offline",
  revoked: "Revoked",
  updating: "Updating",
  waitsForApproval: "Waits for approval",
  locked: "Locked",
  active: "Active",
  archived: "Archived",
  open: "Open",
  used: "Used",
  expired: "Expired",
  notLive: "Not live",
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  startOnItsWay: "Start on its way…",
  pauseOnItsWay: "Pause on its way…",
  resumeOnItsWay: "Resume on its way…",
  agentHasNotYet: "The agent has not yet heard of the cancellation",
  finishOnItsWay: "Finish on its way…",
  fileMigration: "File migration",
  mailboxMigration: "Mailbox migration",
  archive: "Archive",
  fullMigration: "Full migration",
  rockrmsImport: "RockRMS import",
  migrateFiles: "Migrate files",
  syncPassAfterPass: "Sync, pass after pass",
  hotReadOften: "Hot – read often",
  coolReadNowThen: "Cool – read now and then",
  coldReadRarely: "Cold – read rarely",
  archiveKeptHoursRead: "Archive – kept, hours to read back",
  skipWhatIsIdentical: "Skip what is identical",
  overwrite: "Overwrite",
  countItAsFailed: "Count it as failed",
  skipTheFile: "Skip the file",
  deleteWriteNewOne: "Delete it and write the new one",
  keepWriteNewOne: "Keep it and write the new one under another name",
  stayAtTheDestination: "Stay at the destination",
  areRemovedAsWell: "Are removed as well",
  mon: "Mon",
  tue: "Tue",
  wed: "Wed",
  thu: "Thu",
  fri: "Fri",
  sat: "Sat",
  sun: "Sun",
  acceptedStorageServiceBlock: "Accepted by the storage service block by block; not asked afterwards",
  sha256EveryFile:
    "SHA-256 of every file taken while it was read; the storage service was asked afterwards what it holds",
  sha256EveryFileTaken:
    "SHA-256 of every file taken while it was read; the storage service was asked afterwards what it holds, and files were read back whole and hashed again",
  connectionString: "Connection string",
  containerSas: "Container SAS",
  signedInWithMicrosoft: "Signed in with Microsoft",
  owner: "Owner",
  admin: "Admin",
  member: "Member",
  viewer: "Viewer",
  windows: "Windows",
  linux: "Linux",
};
