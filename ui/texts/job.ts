/** Texts of a job's page: its state, its steps, its controls, its log. */
import type { Plural, Shown } from "./nouns.ts";

export const job = {
  startedAgainWithEverything: (reason: Shown) => `Started again with everything. ${reason}`,
};

export const jobCauses = {
  agentsAccountMayNot: "The agent's account may not read them",
  giveAccountAgentRuns:
    "Give the account that the agent runs as the right to read them, then retry the failed files.",
  theyCannotBeRead: "They cannot be read",
  openOneThemMachine:
    "Open one of them on that machine. If that fails as well, check the disk or bring the file back from a backup; then retry the failed files.",
  theyGoneWhenTheir: "They were gone when their turn came",
  somebodyMovedDeletedThem:
    "Somebody moved or deleted them meanwhile. If they should be moved, bring them back, then retry the failed files; else nothing is to be done.",
  theyKeptChangingWhile: "They kept changing while they were read",
  closeProgramWritesThem:
    "Close the program that writes to them, such as a database or a mailbox, then retry the failed files.",
  otherProgramsHaveLocked: "Other programs have locked them",
  closeProgramsHoldThem: "Close the programs that hold them open, then retry the failed files.",
  destinationCannotHoldTheir: "The destination cannot hold their names",
  giveThemShorterPlainer: "Give them shorter or plainer names at the source, then retry the failed files.",
  theyLargerThanDestination: "They are larger than the destination can hold",
  chooseLargerChunkSize: "Choose a larger chunk size in a duplicate of this job, or split the files.",
  somethingElseTheirNames: "Something else with their names is at the destination",
  nothingOverwrittenUnaskedMove:
    "Nothing is overwritten unasked. Move what is there away and retry the failed files, or duplicate the job with another destination folder.",
  theDestinationDeniesAccess: "The destination denies access",
  checkAccessStorageConnection:
    "Check the access of the storage connection, and whether the container is locked against changes; then retry the failed files.",
  destinationCouldNotReached: "The destination could not be reached",
  checkSitesInternetLine:
    "Check the site's internet line and the storage account's firewall, then retry the failed files.",
  theDestinationRefusedThem: "The destination refused them",
  lookWhatSaidBelow: "Look at what it said, below. Often it is over by itself: retry the failed files.",
  whatArrivedNotWhat: "What arrived is not what was sent",
  retryFailedFilesThey:
    "Retry the failed files; they are sent anew. If it happens again, check the memory of the agent's machine.",
  lookWhatAgentSays: "Look at what the agent says about each, then retry the failed files.",
};

export const jobChangeDialogs = {
  changeTheStart: "Change the start",
  save: "Save",
  day: "Day",
  time: "Time",
  yourOwnTimeZone: "In your own time zone. Leave both empty to start at once.",
  agent: "Agent",
  noOtherAgent: "No other agent",
  chooseAnAgent: "Choose an agent",
  agentsCannotListedJust: "The agents cannot be listed just now",
  moveToAnotherAgent: "Move to another agent",
  jobHasNotBegun: "The job has not begun at ",
  otherAgentReadsSame: ". The other agent reads the same path on its own machine:",
  move: "Move",
  duplicateThisJob: "Duplicate this job",
  jobRemovesSourceFiles:
    "This job removes source files. Only an admin or the owner makes another job that does.",
  makesAnotherJobSame:
    "Makes another job with the same source and options, on the project's present storage. It starts at once.",
  makeJob: "Make job",
  name: "Name",
  destinationFolder: "Destination folder",
  twoJobsNotFinished:
    "Two jobs that are not finished cannot write to one place. Empty: the container itself.",
  sourcePathSure: "Source path, to be sure",
  sourceFilesWillRemoved: (path: Shown) => `Source files will be removed. Type ${path}`,
};

export const jobChanges = {
  theStartWasChanged: "The start was changed",
  jobStartsOnce: "The job starts at once",
  chooseAnAgent: "Choose an agent",
  movedTo: (agentName: Shown) => `Moved to ${agentName}`,
  dayAsWellNeither: "A day as well, or neither",
  timeAsWellNeither: "A time as well, or neither",
  dayTime: "A day and a time",
  overLeaveBothEmpty: "This is over; leave both empty to start at once",
  giveAName: "Give a name",
  foldersSeparatedSingleSlashes:
    "Folders separated by single slashes, such as acme-corp/files, without . or ..",
  writeSourcesPathExactly: "Write the source's path exactly as it stands above",
};

export const jobControls = {
  changeStart: "Change start",
  move: "Move",
  duplicate: "Duplicate",
  retryFailedFiles: "Retry failed files",
  retryEverything: "Retry everything",
  retry: "Retry",
  finish: "Finish",
  resume: "Resume",
  pause: "Pause",
  cancelJob: "Cancel job",
  finishThisJob: "Finish this job?",
  finishJob: "Finish job",
  keepItRepeating: "Keep it repeating",
  carriesPassEndMakes:
    "It carries the pass it is in to its end, makes no other, and is then completed with its report. For a last pass over everything, finish it after the source is no longer worked on.",
  cancelThisJob: "Cancel this job?",
  keepItRunning: "Keep it running",
  stopsOnceWhatAlready:
    "It stops at once. What is already at the destination stays there. A cancelled job can be retried; what is there and identical is then skipped.",
  startAgain: "Start again",
  leaveAs: "Leave it as it is",
  sourceFilesProvedHave: " Source files that are proved to have arrived are removed again, as the job says.",
  looksThroughWholeSource: (removes: Shown) =>
    `It looks through the whole source again. What is at the destination and identical is skipped; all else is sent. The counts and the report of the last run are replaced.${removes}`,
  looksThroughWholeSourceAgain: (removes: Shown) =>
    `It looks through the whole source again and sends every file again, over what is at the destination. The counts and the report of the last run are replaced.${removes}`,
  looksThroughWholeSourceAgainEvery: (removes: Shown) =>
    `It looks through the whole source again. Every file whose name is at the destination by now counts as failed, also those that the last run brought there. The counts and the report of the last run are replaced.${removes}`,
};

export const jobDetails = {
  inChunksOf: (streams: Shown, mebibytes: Shown) => `${streams}, in chunks of ${mebibytes} MiB`,
  details: "Details",
  source: "Source",
  destination: "Destination",
  agent: "Agent",
  type: "Type",
  passes: "Passes",
  line: "Line",
  streams: "Streams",
  verification: "Verification",
  alreadyThere: "Already there",
  thereInArchive: "There in Archive",
  sourceFiles: "Source files",
  run: "Run",
  created: "Created",
  started: "Started",
  finished: "Finished",
  atMost: (bandwidthMbps: Shown) => `At most ${bandwidthMbps}`,
  noLimit: "No limit",
  off: "Off",
  filesReadBack: (readbackPercent: Shown) => `On, ${readbackPercent}% of the files read back`,
  on: "On",
  only: "Only",
  not: "Not",
  modifiedOnOrAfter: "Modified on or after",
  modifiedBefore: "Modified before",
  atLeast: "At least",
  atMost2: "At most",
};

export const jobFailures = {
  notMoved: (total: Shown) => `${total} not moved`,
  exportCsv: "Export CSV",
  theseAreTheFirst: "These are the first ",
  listAllFilesReport: ". The list of all files, with the report, has every one.",
  whichFile: "Which file",
  whichFiles: "Which files",
};

export const jobLimit = {
  bandwidth: "Bandwidth",
  wayAgent: " · on its way to the agent…",
  schedule: "Schedule: ",
  change: "Change",
  save: "Save",
  bandwidthLimit: "Bandwidth limit",
  mbps: "Mbps",
  none: "None",
  overridesProjectsScheduleAll:
    "Overrides the project's schedule, for all jobs of this agent together, while this job runs. Empty: the schedule holds.",
  allJobsAgentTogether: "For all jobs of this agent together, while this job runs. Empty: no limit.",
};

export const jobLog = {
  log: "Log",
  logCannotLoadedJust: "The log cannot be loaded just now.",
};

export const jobLogWords = {
  jobCreated: "Job created",
  agentGone: "an agent that is gone",
  movedFromTo: (from: Shown, to: Shown) => `Moved from ${from} to ${to}`,
  started: "Started",
  runStarted: (epoch: Shown) => `Run ${epoch} started`,
  pauseAskedFor: "Pause asked for",
  resumed: "Resumed",
  askedFinishPass: "Asked to finish with this pass",
  cancelled: "Cancelled",
  failedFilesStartedAgain: "Failed files started again",
  startedAgainFromBeginning: "Started again from the beginning",
  completed: "Completed",
  failed: "Failed",
  theAgentRefused: (message: Shown) => `The agent refused: ${message}`,
  agentRefusedWhatWanted: "The agent refused what was wanted",
  sourceFilesRemoved: "Source files removed",
  removed: (files: Shown) => `${files} removed`,
  quarantineGoneGoodLeft: (filesPurged: Shown, filesLeft: Shown) =>
    `Quarantine: ${filesPurged} gone for good, ${filesLeft} left`,
  listAllFilesArrived: "The list of all files arrived",
  listAllFilesArrived2: (rows: Shown) => `The list of all files arrived (${rows})`,
  agentWentOffline: "Agent went offline",
  agentCameOnline: "Agent came online",
  limitSetTo: (bandwidthMbps: Shown) => `Limit set to ${bandwidthMbps}`,
  limitOwnRemoved: "Limit of its own removed",
  startSetTo: (startAt: Shown) => `Start set to ${startAt}`,
  startSetOnce: "Start set to at once",
  renamed: "Renamed",
  changed: "Changed",
  aFormerMember: "A former member",
  theAgent: "The agent",
  agent: (name: Shown) => `Agent ${name}`,
  anApiKey: "An API key",
};

export const jobSentences = {
  container: (container: Shown) => `container ${container}`,
  folderOfContainer: (prefix: Shown, container: Shown) => `folder ${prefix} of container ${container}`,
  storageAccountTier: (place: Shown, account: Shown, tier: Shown) =>
    `${place}, storage account ${account}, ${tier} tier`,
  until: (time: Shown) => ` until ${time}`,
  nextTryAt: (time: Shown) => `, next try at ${time}`,
  to: (megabitsPerSecond: Shown) => ` to ${megabitsPerSecond}`,
  throttledByAzure: (until: Shown) => `Throttled by Azure${until}`,
  storageAccountUnreachableStill: (nextTry: Shown) => `Storage account unreachable, still trying${nextTry}`,
  diskAgentFullGoes: "The disk of the agent is full; it goes on by itself when there is room",
  waitsFilesOtherPrograms: (nextTry: Shown) => `Waits for files that other programs have locked${nextTry}`,
  waitsSomebodyReconnectAzure:
    "Waits for somebody to reconnect the Azure storage; it goes on by itself afterwards",
  nextPassSoon: "Next pass soon",
  nextPassAt: (time: Shown) => `Next pass at ${time}`,
  staysAtTheDestination: "stays at the destination",
  removedDestinationToo: "is removed at the destination too",
  betweenThemWhatGone: (pause: Shown, gone: Shown) =>
    `${pause} between them; what is gone from the source ${gone}`,
  everyProvedFile: "every proved file",
  atMost: (filesMax: Shown) => `at most ${filesMax}`,
  dryRunSaysWhat: (most: Shown) => `Dry run: says what would be removed (${most}), removes nothing`,
  goodEndJob: (most: Shown) => `${most}, for good at the end of the job`,
  goodAfterQuarantine: (most: Shown, retentionDays: Shown) =>
    `${most}, for good after ${retentionDays} in quarantine`,
  nothingWillBeMoved: "Nothing will be moved",
  willBeMoved: (files: Shown, bytes: Shown) => `${files} (${bytes}) will be moved`,
  exceptWhatThereAlready: ", except what is there already",
  storedDifferently: (names: Shown, number: Plural) =>
    `${names} ${number === "one" ? "is" : "are"} stored differently`,
  refusedByTheDestination: (names: Shown, number: Plural) =>
    `${names} ${number === "one" ? "is" : "are"} refused by the destination`,
  tooLarge: (tooLarge: Shown) => `${tooLarge} too large`,
  unreadable: (entries: Shown) => `${entries} unreadable`,
  nothingToMove: "Nothing to move",
};

export const jobSpeed = {
  speedLast: "Speed, last ",
  limit: "Limit ",
  theLimitIs: (limit: Shown) => ` The limit is ${limit}.`,
  speedOverLastNow: (
    spanMs: Shown,
    latest: Shown,
    average: Shown,
    lowest: Shown,
    highest: Shown,
    limit: Shown,
  ) =>
    `Speed over the last ${spanMs}: now ${latest}, on average ${average}, between ${lowest} and ${highest}.${limit}`,
};

export const jobStanding = {
  goesOn: "goes on",
  agentRevokedSoJob:
    "The agent was revoked, so this job cannot go on. Cancel it, then duplicate it to another agent.",
  agentLockedBecauseIdentity:
    "The agent is locked, because its identity was used from two places. An admin unlocks it on its page; then the job goes on.",
  agentWaitsApprovalAdmin:
    "The agent waits for approval. An admin approves it under Agents; then the job starts.",
  agentBeingUpdatedJob: (goesOn: Shown) => `The agent is being updated. The job ${goesOn} when it is back.`,
  starts: (startMs: Shown) => `Starts ${startMs}.`,
  waitsAgentBegin: "Waits for its agent to begin.",
  at: (moment: Shown) => `at ${moment}`,
  on: (moment: Shown) => `on ${moment}`,
  storageAccountCannotReached:
    "The storage account cannot be reached from the agent's machine; it keeps trying. If this lasts, look at the site's internet line and at the account's firewall.",
  storageAccountCannotReachedFrom: (at: Shown) =>
    `The storage account cannot be reached from the agent's machine; the next try is at ${at}. If this lasts, look at the site's internet line and at the account's firewall.`,
  diskAgentsMachineFull:
    "The disk of the agent's machine is full. Make some room on it; the job then goes on by itself.",
  onlyFilesLeftOther:
    "Only files are left that other programs hold open; they are tried again. Close those programs to be done sooner.",
  onlyFilesLeftOtherPrograms: (at: Shown) =>
    `Only files are left that other programs hold open; they are tried again at ${at}. Close those programs to be done sooner.`,
  microsoftRefusesSignStorage:
    "Microsoft refuses the sign-in of this storage connection. An admin reconnects it under Settings, Storage connections; the job then goes on by itself.",
  pausedBeforeBeganStarts: "Paused before it began. It starts when somebody resumes it.",
  pausedNothingSentUntil:
    "Paused. Nothing is sent until somebody resumes it; what has arrived stays where it is.",
  nothingHasMovedSince: (since: Shown) =>
    `Nothing has moved since ${since}, and the agent does not say why. It may be busy with one large file; if this lasts, look at its log.`,
  noLimit: "No limit",
  noLimitUntilThen: (until: Shown, thenMegabitsPerSecond: Shown) =>
    `No limit until ${until}, then ${thenMegabitsPerSecond}`,
  limitedTo: (megabits: Shown) => `Limited to ${megabits}`,
  limitedToUntil: (megabits: Shown, until: Shown) => `Limited to ${megabits} until ${until}`,
  limitedToUntilThen: (megabits: Shown, until: Shown, thenMegabitsPerSecond: Shown) =>
    `Limited to ${megabits} until ${until}, then ${thenMegabitsPerSecond}`,
  someFilesNotMoved: " Some files were not moved.",
  theAgentIsOffline: (words: Shown) => `${words}. The agent is offline.`,
};

export const jobStepBar = {
  scan: "Scan",
  upload: "Upload",
  verify: "Verify",
  remove: "Remove",
  nextPass: "Next pass",
  done: "Done",
  lookingThroughTheSource: "looking through the source",
  verifyingWhatArrived: "verifying what arrived",
  removingSourceFilesArrived: "removing source files that arrived",
  waitingNextPass: "waiting for the next pass",
  done2: "done",
  underWay: "under way",
  toCome: "to come",
  endedHere: "ended here",
  steps: "Steps",
};

export const jobWholePage = {
  off: "Off",
  job: "Job",
  jobs: "Jobs",
  made: (name: Shown) => `Made ${name}`,
  lastPassJobCompleted: "This is the last pass. The job is completed when it is done.",
  speed: "Speed",
  timeLeft: "Time left",
  failed: "Failed",
  files: "Files",
  completed: "Completed",
  skipped: "Skipped",
  verified: "Verified",
  readBack: "Read back",
  removed: "Removed",
};
