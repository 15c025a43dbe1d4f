/** Texts of the form of a job, and of what will happen. */
import type { Shown } from "./nouns.ts";

export const jobForm = {
  chooseAProject: "Choose a project",
  giveAName: "Give a name",
  chooseAnAgent: "Choose an agent",
  giveFullPathSuch: "Give the full path, such as /srv/files or C:\\Shares\\Files",
  foldersSeparatedSingleSlashes: "Folders separated by single slashes, without . or ..",
  aNumberOfMb: "A number of MB",
  smallerThanSmallestSize: "Smaller than the smallest size",
  notAfterOtherDate: "Not after the other date: no file would be left",
  wholeNumberNothingAll: "A whole number, or nothing for all",
  notSourceFolderAs: "Not the source folder as it stands above",
  atMostPatterns: (patternsMax: Shown) => `At most ${patternsMax} patterns`,
  patternLongerThanCharacters: (long: Shown, patternLengthMax: Shown) =>
    `Pattern ${long} is longer than ${patternLengthMax} characters`,
  wholeNumberFrom: (min: Shown, max: Shown) => `A whole number from ${min} to ${max}`,
};

export const jobNewPage = {
  jobs: "Jobs",
  project: "Project",
  newJob: "New job",
  createJob: "Create job",
  noProject: { before: "There is no project yet. ", link: "Create one first", after: "." },
  noAgent: { before: "There is no agent yet. ", link: "Register one first", after: "." },
  name: "Name",
  chooseAProject: "Choose a project",
  agent: "Agent",
  chooseAnAgent: "Choose an agent",
  offlineNowJobStarts: "It is offline now. The job starts when it is back.",
  online: (name: Shown) => `${name} – online`,
  offline: (name: Shown) => `${name} – offline`,
  type: "Type",
  sourceFolder: "Source folder",
  fullPathAgentsMachine: "The full path on the agent's machine, or a network share it can read.",
  destination: "Destination",
  pauseBetweenPasses: "Pause between passes",
  fromEndOnePass: "From the end of one pass to the next. It goes on until you press Finish.",
  filesGoneFromSource: "Files that are gone from the source",
  whateverSomebodyDeletesRenames:
    "Whatever somebody deletes, renames or moves at the source is deleted at the destination with the next pass, also by mistake. Keep soft delete or versioning switched on in the storage account.",
  whatWillHappen: "What will happen",
  chooseProjectAgentSource: "Choose a project, an agent and a source folder; it is then written here.",
};

export const jobOptions = {
  folderAndTier: "Folder and tier",
  notAsProject: "Not as in the project",
  asInTheProject: "As in the project",
  folderInTheContainer: "Folder in the container",
  asProjectUnlessChanged: "As in the project, unless changed here",
  tier: "Tier",
  atMost: (limit: Shown) => `At most ${limit}`,
  byTheProjectsSchedule: "By the project's schedule",
  noLimit: "No limit",
  line: "Line",
  streamsMib: (pace: Shown, concurrency: Shown, chunkSizeMiB: Shown) =>
    `${pace} · ${concurrency} streams · ${chunkSizeMiB} MiB`,
  bandwidthLimit: "Bandwidth limit",
  mbps: "Mbps",
  none: "None",
  whileJobRunsHolds:
    "While this job runs it holds for all jobs of this agent together. It can be changed at any time.",
  scheduleOverridden: (schedule: Shown) => `Overrides the project's schedule: ${schedule}.`,
  scheduleHolds: (schedule: Shown) => `Without a limit here, the project's schedule holds: ${schedule}.`,
  parallelStreams: "Parallel streams",
  to: (min: Shown, max: Shown) => `${min} to ${max}`,
  chunkSize: "Chunk size",
  mib: "MiB",
  raisedItselfVeryLarge: "Raised by itself for very large files",
  whatIsThereAlready: "What is there already",
  fileWhoseNameOthers: "A file whose name others have taken at the destination",
  fileWhoseNameAlready: "A file whose name is already taken at the destination",
  whatEarlierPassWrote: "What an earlier pass wrote is kept up to date in any case.",
  whatLiesThereArchive: "What lies there in the Archive tier",
  azureCannotOverwriteWhat: "Azure cannot overwrite what is in the Archive tier.",
  earlyDeletionFee: (days: Shown) =>
    `Azure charges an early deletion fee for whatever has been in the Archive tier for less than ${days} days: the storage of the days that are left.`,
  proof: "Proof",
  verifyIntegrity: "Verify integrity",
  afterUploadStorageService:
    "After the upload the storage service is asked what it holds, and each file is compared.",
  readBack: "Read back",
  soManyFilesSpread:
    "So many of the files, spread evenly, are downloaded whole and hashed again. 0 = none, 100 = every file.",
  needsVerifyIntegrity: "Needs Verify integrity.",
  takesLineSecondTime: "It takes the line a second time, and Azure charges for data that leaves it.",
  readingFromTierCosts: (tier: Shown) => `Reading from the ${tier} tier costs extra for every GB.`,
  whatArchiveTierCannot:
    "What is in the Archive tier cannot be read, so files are read back first and moved to Archive afterwards.",
  notVerified: "Not verified",
  verified: "Verified",
  verifiedAllReadBack: "Verified, all read back",
  verifiedReadBack: (percent: Shown) => `Verified, ${percent}% read back`,
  afterwards: "Afterwards",
  removeSourceFilesProved: "Remove source files that are proved to have arrived",
  notSyncNeedsSource: "Not in a sync: it needs its source as it is.",
  needsVerifyIntegrityUnder: "Needs Verify integrity, under Proof.",
  fileFileOnlyIf:
    "File by file, and only if it is still the file that was read. The agent must allow it for this folder, too.",
  dryRun: "Dry run",
  onlySaysWhatWould: "Only says what would be removed.",
  daysInQuarantine: "Days in quarantine",
  folderSameDiskFrom:
    "A folder on the same disk, from which files can be taken back. 0 = none: gone at the end of the job.",
  filesMax: "At most",
  all: "All",
  withoutDaysQuarantineNobody: "Without days in quarantine nobody can take a file back.",
  typeSourceFolderOnce: "Type the source folder once more",
  soRightFolderMeant: "So that the right folder is meant.",
  sourceStaysAs: "The source stays as it is",
  dryRunRemovingSource: "Dry run of removing source files",
  sourceFilesDeletedGood: "Source files are deleted for good",
  quarantined: "Source files go into quarantine",
  quarantinedFor: (days: Shown) => `Source files go into quarantine for ${days}`,
  filters: "Filters",
  everythingInTheFolder: "Everything in the folder",
  set: (used: Shown) => `${used} set`,
  onlyThese: "Only these",
  onePatternPerLine: "One pattern per line, as in .gitignore. When there are any, a file must match one.",
  notThese: "Not these",
  onePatternPerLineFile: "One pattern per line. A file that matches is left out.",
  modifiedOnOrAfter: "Modified on or after",
  modifiedBefore: "Modified before",
  sizeMin: "At least",
  sizeMax: "At most",
};

export const jobPlan = {
  whatAlreadyThereIdentical:
    "What is already there and identical is skipped; nothing different is overwritten.",
  whatAlreadyThereUnder: "What is already there under the same name is overwritten.",
  fileWhoseNameAlready: "A file whose name is already taken there counts as failed.",
  whatOthersPutThere:
    "Of what others put there, what is identical is skipped; nothing different is overwritten.",
  whatOthersPutThereUnder: "What others put there under the same name is overwritten.",
  fileWhoseNameOthers: "A file whose name others have taken there counts as failed.",
  whatLiesThereArchive: "What lies there in the Archive tier stays, and its file is skipped.",
  whatLiesThereArchiveTier:
    "What lies there in the Archive tier is deleted and written anew; Azure charges a fee if it lay there for less than 180 days.",
  whatLiesThereArchiveTierStays:
    "What lies there in the Archive tier stays, and the new file is written beside it under another name.",
  copiesAll: (agent: Shown, path: Shown, destination: Shown) =>
    `${agent} copies every file under ${path} to ${destination}.`,
  copiesAllOnceOnline: (agent: Shown, path: Shown, destination: Shown) =>
    `${agent} copies every file under ${path} to ${destination} as soon as it is back online.`,
  copiesSome: (agent: Shown, path: Shown, destination: Shown, filters: Shown) =>
    `${agent} copies the files ${filters} under ${path} to ${destination}.`,
  copiesSomeOnceOnline: (agent: Shown, path: Shown, destination: Shown, filters: Shown) =>
    `${agent} copies the files ${filters} under ${path} to ${destination} as soon as it is back online.`,
  whatGoneFromSource:
    "What is gone from the source is removed at the destination too, with every pass; not what others put there.",
  sourceOnlyRead: "The source is only read.",
  repeatsAfterAWhile:
    "A while after the end of each pass it looks again and brings up to date what is new or changed, until somebody presses Finish.",
  repeatsAfter: (pause: Shown) =>
    `${pause} after the end of each pass it looks again and brings up to date what is new or changed, until somebody presses Finish.`,
  lineUsedUpAll: (limit: Shown) => `The line is used up to ${limit}, by all jobs of this agent together.`,
  lineUsedAsProjects: "The line is used as the project's schedule says.",
  lineUsedAsFast: "The line is used as fast as it goes.",
  whatArrivedNotChecked: "What arrived is not checked afterwards.",
  afterwardsStorageServiceAsked:
    "Afterwards the storage service is asked what it holds, and every file is compared.",
  allReadBack: "Every file is read back whole and hashed again.",
  someReadBack: (percent: Shown) =>
    `${percent}% of the files, spread evenly, are read back whole and hashed again.`,
  filesReadBackFirst: "Files are read back first and moved to the Archive tier afterwards.",
  allListed:
    "Each source file that is proved to have arrived is listed as one that could be removed. Nothing is removed.",
  someListed: (files: Shown) =>
    `At most ${files} that is proved to have arrived is listed as one that could be removed. Nothing is removed.`,
  allDeleted: "Each source file that is proved to have arrived is deleted for good at the end of the job.",
  someDeleted: (files: Shown) =>
    `At most ${files} that is proved to have arrived is deleted for good at the end of the job.`,
  allQuarantined: (days: Shown) =>
    `Each source file that is proved to have arrived is moved into a quarantine on the same disk, and deleted for good after ${days}.`,
  someQuarantined: (days: Shown, files: Shown) =>
    `At most ${files} that is proved to have arrived is moved into a quarantine on the same disk, and deleted for good after ${days}.`,
  matchThePattern: "that match the pattern",
  matchOneOfPatterns: (patterns: Shown) => `that match one of ${patterns} patterns`,
  matchNoneExcludedPatterns: "that match none of the excluded patterns",
  modifiedOnOrAfter: (modifiedAfter: Shown) => `modified on or after ${modifiedAfter}`,
  modifiedBefore: (modifiedBefore: Shown) => `modified before ${modifiedBefore}`,
  ofAtLeastMb: (sizeMin: Shown) => `of at least ${sizeMin} MB`,
  ofAtMostMb: (sizeMax: Shown) => `of at most ${sizeMax} MB`,
};

export const schedule = {
  aTime: "A time",
  timeZoneSuchAs: "A time zone such as Europe/Berlin",
  chooseLeastOneDay: "Choose at least one day",
  atMostWindows: (windowsMax: Shown) => `At most ${windowsMax} windows`,
  giveLeastOneLimit: "Give at least one limit, or remove the schedule",
  timesAreEqual: "For a whole day, 00:00 to 23:59",
};

export const scheduleFields = {
  bandwidthSchedule: "Bandwidth schedule",
  addSchedule: "Add schedule",
  removeSchedule: "Remove schedule",
  noneJobsProjectUse:
    "None: the jobs of this project use the line as fast as it goes. With a schedule they keep to a limit while the office works. It holds at once, also for jobs that run.",
  anotherWindow: "Another window",
  withinTheseTimes: "Within these times",
  mbps: "Mbps",
  fullSpeed: "Full speed",
  emptyAsFastAs: "Empty: as fast as it goes",
  atAllOtherTimes: "At all other times",
  allJobsAgentTogether: "All jobs of an agent together",
  timeZoneSite: "Time zone of the site",
  daysWhichBegins: "Days on which it begins",
  from: "From",
  nextDay: "To, on the next day",
  to: "To",
  remove: "Remove",
};

export const scheduleText = {
  noLimit: "no limit",
  always: (outside: Shown) => `Always ${outside}`,
  otherwise: (when: Shown, inside: Shown, outside: Shown, timeZone: Shown) =>
    `${when}: ${inside}; otherwise ${outside} (${timeZone})`,
  everyDay: "Every day",
};
