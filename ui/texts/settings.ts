/** Texts of the settings: connections, members, sessions, keys, webhooks, consent. */
import type { Shown } from "./nouns.ts";

export const apiKeys = {
  keyRevoked: (name: Shown) => `Key "${name}" revoked`,
  giveAName: "Give a name",
  wholeNumberFrom: (min: Shown, max: Shown) => `A whole number from ${min} to ${max}`,
};

export const apiKeysPage = {
  apiKeys: "API keys",
  yourOwnScriptsTools: "For your own scripts and tools. What they can ask for is in the",
  descriptionOfTheApi: "description of the API",
  newKey: "New key",
  keyIsMade: (name: Shown) => `Key "${name}" is made`,
  apiKey: "API key",
  programSendsEachRequest: "A program sends it with each request, as ",
  authorizationBearer: "Authorization: Bearer …",
  keys: "Keys",
  noKeysYet: "No keys yet",
  makeOneEachProgram:
    "Make one for each program, with the least role that will do. So you can revoke one without stopping the others.",
  newApiKey: "New API key",
  revokeKey: "Revoke key",
  keepIt: "Keep it",
  everyProgramUsesKey:
    "Every program that uses this key is refused from the next request on. This cannot be undone; a new key can be made.",
  makeKey: "Make key",
  name: "Name",
  programUsesSuchAs: "The program that uses it, such as “Ticket sync”.",
  whatItMayDo: "What it may do",
  howLongItWorks: "How long it works",
  forSomeDays: "For some days",
  untilItIsRevoked: "Until it is revoked",
  days: "Days",
  key: "Key",
  status: "Status",
  role: "Role",
  lastUsed: "Last used",
  never: "Never",
  expires: "Expires",
  made: "Made",
  revoke: "Revoke",
};

export const connectionForm = {
  addConnection: "Add connection",
  name: "Name",
  howYouWillRecognise: "How you will recognise it, such as the account's name.",
  connectBy: "Connect by",
  connectionString: "Connection string",
  allContainersOneStorage: "All containers of one storage account.",
  containerSas: "Container SAS",
  oneContainerOnly: "One container only.",
  azurePortalStorageAccount:
    "Azure portal → storage account → Access keys. It is kept encrypted and never shown again.",
  defaultendpointsprotocolHttpsAccountnameAccountkey:
    "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…",
  containerSasUrl: "Container SAS URL",
  azurePortalContainerShared:
    "Azure portal → container → Shared access tokens, with read, add, create, write and list. It is kept encrypted and never shown again.",
};

export const connectionNewPage = {
  connectAzureStorage: "Connect Azure Storage",
  storageConnections: "Storage connections",
  connectionStringSas: "Or with a connection string or a SAS",
  connectedTo: (account: Shown) => `Connected to ${account}`,
  onlyAdminOwnerConnects: "Only an admin or the owner connects storage.",
  signMicrosoftRecommended: "Sign in with Microsoft (recommended)",
  nothingCopyNothingExpires:
    "Nothing to copy, and nothing that expires while it is used. The Microsoft account needs the role",
  storageBlobDataContributor: "Storage Blob Data Contributor",
  onTheStorageAccount: " on the storage account.",
  goingToMicrosoft: "Going to Microsoft…",
  signInWithMicrosoft: "Sign in with Microsoft",
};

export const connections = {
  connectionDeleted: "Connection deleted",
  giveAName: "Give a name",
  pasteTheConnectionString: "Paste the connection string",
  pasteContainersSasUrl: "Paste the container's SAS URL",
};

export const connectionsPage = {
  addConnection: "Add connection",
  storageConnections: "Storage connections",
  azureStorageAccountsFiles:
    "The Azure storage accounts that files are moved to. Projects choose one of them and a container in it.",
  azureStorageConnections: "Azure Storage connections",
  noConnectionYet: "No connection yet",
  connectionOpensStorageAccount:
    "A connection opens the storage account that files are moved to. Sign in with Microsoft, or paste a connection string or a SAS.",
  connectionOpensStorageAccountFiles:
    "A connection opens the storage account that files are moved to. An admin or the owner adds it.",
  deleteThisConnection: "Delete this connection?",
  deleteConnection: "Delete connection",
  keepIt: "Keep it",
  theStoredCredentialsOf: 'The stored credentials of "',
  forTheAccount: '" for the account ',
  destroyedWhatLiesAccount:
    " are destroyed. What lies in the account stays as it is. A connection that a project uses cannot be deleted.",
  theConnection: "The connection",
  worksAgainProjectsGo: " works again. Its projects go on by themselves.",
  nothingWasConnected: "Nothing was connected. ",
  sasExpiresCannotProlonged:
    "A SAS that expires cannot be prolonged: make a new one in the Azure portal, add it here as a new connection, and choose that in its projects.",
  connection: "Connection",
  account: "Account",
  containers: "Containers",
  all: "All",
  state: "State",
  added: "Added",
  reconnect: "Reconnect",
  delete: "Delete",
  as: (kind: Shown, principal: Shown) => `${kind} as ${principal}`,
};

export const consent = {
  chooseASubscription: "Choose a subscription",
  chooseAStorageAccount: "Choose a storage account",
  storageAccountsNameHas: "A storage account's name has 3 to 24 small letters and digits",
  giveAName: "Give a name",
};

export const consentPage = {
  connectedTo: (account: Shown) => `Connected to ${account}`,
  chooseTheStorageAccount: "Choose the storage account",
  storageConnections: "Storage connections",
  youSignedMicrosoftAs: (principal: Shown) => `You are signed in with Microsoft as ${principal}.`,
  signOver: "This sign-in is over",
  signInAgain: "Sign in again",
  usedAlreadyTookLonger:
    "It was used already, took longer than half an hour, or was begun in another browser.",
  connect: "Connect",
  storageAccount: "Storage account",
  chooseFromAList: "Choose from a list",
  typeItsName: "Type its name",
  nameOfTheConnection: "Name of the connection",
  howYouWillRecognise: "How you will recognise it.",
  subscription: "Subscription",
  chooseASubscription: "Choose a subscription",
  switchedOff: (name: Shown) => `${name} (switched off)`,
  account: "Account",
  chooseAStorageAccount: "Choose a storage account",
  asHttpsNameBlob: "As in https://name.blob.core.windows.net.",
  showContainers: "Show containers",
  thereNoContainerYet: "There is no container in it yet; one can be made with a project",
  andMore: " and more",
  holdsEachProjectChooses: (containers: Shown, more: Shown) =>
    `It holds ${containers}${more}. Each project chooses its container.`,
  accountFilesWillMoved: "The account that files will be moved to.",
  withFoldersDataLake: "with folders (Data Lake)",
  withoutTheArchiveTier: "without the Archive tier",
  behindFirewallAgentsMust: "behind a firewall: agents must be on a network it lets in",
};

export const membersPage = {
  members: "Members",
  everybodyWhoHasSigned: "Everybody who has signed in from ",
  theHub: "the Hub",
  namesRolesWhoBelongs:
    ". Names, roles and who belongs to your organization are changed there; here they are only shown.",
  nobodyYet: "Nobody yet",
  whoeverSignsFromHub: "Whoever signs in from the Hub appears here.",
  name: "Name",
  you: "You",
  eMail: "E-mail",
  role: "Role",
  lastSeen: "Last seen",
  notLately: "Not lately",
};

export const secretCard = {
  shownOnlyOnceCopy:
    "This is shown only once. Copy it now and put it where you keep passwords: nobody can read it again, not even we.",
  copy: "Copy",
  iHaveKeptIt: "I have kept it",
};

export const sessions = {
  signedOutThere: "Signed out there",
  youSignedNowhereElse: "You were signed in nowhere else",
  signedOutOf: (browsers: Shown) => `Signed out of ${browsers}`,
  edge: "Edge",
  opera: "Opera",
  firefox: "Firefox",
  chrome: "Chrome",
  safari: "Safari",
  windows: "Windows",
  android: "Android",
  chromeos: "ChromeOS",
  linux: "Linux",
  anotherProgram: "Another program",
  aProgramOn: (system: Shown) => `A program on ${system}`,
  on: (browser: Shown, system: Shown) => `${browser} on ${system}`,
};

export const sessionsPage = {
  mine: "Mine",
  everybodys: "Everybody's",
  sessions: "Sessions",
  everyBrowserSignedIf: "Every browser that is signed in. If you do not know one of them, sign it out.",
  signOutEverywhereElse: "Sign out everywhere else",
  noSessions: "No sessions",
  signOutEverywhereElse2: "Sign out everywhere else?",
  staySignedIn: "Stay signed in",
  allYourOtherBrowsers:
    "All your other browsers and devices are signed out at once. What is being typed there is lost. Running jobs go on.",
  signOutThere: "Sign out there?",
  signOut: "Sign out",
  leaveIt: "Leave it",
  of: " of ",
  signedOutOnceRunning: " is signed out at once. Running jobs go on.",
  whoseSessions: "Whose sessions",
  browser: "Browser",
  thisBrowser: "This browser",
  from: "From",
  lastUsed: "Last used",
  since: "Since",
};

export const settingsContract = {
  signCancelledConsentDeclined: "The sign-in was cancelled, or the consent was declined",
  administratorMicrosoftTenantHas: "An administrator of that Microsoft tenant has to consent first",
  accountBelongsAnotherMicrosoft: "That account belongs to another Microsoft tenant than this connection",
  accountMayNotUse:
    "That account may not use the storage: it needs the role Storage Blob Data Contributor on the account",
  microsoftCouldNotReached: "Microsoft could not be reached; try again",
  microsoftDidNotComplete: "Microsoft did not complete the sign-in; try again",
};

export const settingsPage = {
  storageConnections: "Storage connections",
  azureStorageAccountsFiles: "The Azure storage accounts that files are moved to.",
  registrationCodes: "Registration codes",
  oneTimeCodesWhich: "One-time codes by which machines join as agents.",
  members: "Members",
  whoBelongsYourOrganization: "Who belongs to your organization, and their roles.",
  sessions: "Sessions",
  whereYouSignedSigning: "Where you are signed in, and signing out there.",
  apiKeys: "API keys",
  accessYourOwnScripts: "Access for your own scripts and tools.",
  webhooks: "Webhooks",
  otherSystemsHearOnce: "Other systems hear at once what happens here.",
  auditLog: "Audit log",
  whoDidWhatSealed: "Who did what, sealed against changes.",
  settings: "Settings",
  whatHoldsYourWhole: "What holds for your whole organization.",
};

export const settingsPart = {
  settings: "Settings",
  onlyAdminOwnerSees:
    "Only an admin or the owner sees this. Ask one of them; the members page says who they are.",
};

export const settingsWords = {
  active: "Active",
  expired: "Expired",
  revoked: "Revoked",
  readsEverythingChangesNothing: "Reads everything, changes nothing.",
  alsoMakesClientsProjects: "Also makes clients, projects and jobs.",
  alsoManagesAgentsStorage: "Also manages agents and storage.",
  failing: "Failing",
  switchedOff: "Switched off",
  aJobStarts: "A job starts",
  aJobIsCompleted: "A job is completed",
  aJobFails: "A job fails",
  aJobIsCancelled: "A job is cancelled",
  anAgentComesOnline: "An agent comes online",
  anAgentGoesOffline: "An agent goes offline",
  projectsStorageHasReconnected: "A project's storage has to be reconnected",
  aProjectIsCompleted: "A project is completed",
  expiresWithinADay: "Expires within a day",
  expiresIn: (days: Shown) => `Expires in ${days}`,
  needsReconnecting: "Needs reconnecting",
};

export const webhooks = {
  webhookIsOnAgain: "Webhook is on again",
  webhookDeleted: "Webhook deleted",
  giveAnAddress: "Give an address",
  chooseLeastOneEvent: "Choose at least one event",
};

export const webhooksPage = {
  webhooks: "Webhooks",
  addressesYourOwnSystems: "Addresses of your own systems that are called when something happens here.",
  newWebhook: "New webhook",
  webhookMade: (host: Shown) => `The webhook to ${host} is made`,
  signingSecret: "Signing secret",
  yourSystemChecksDelivery:
    "Your system checks with it that a delivery comes from here: each is signed with this secret.",
  addresses: "Addresses",
  noWebhooksYet: "No webhooks yet",
  giveAddressYourTicket:
    "Give an address of your ticket system or chat, and it hears of jobs, agents and projects within seconds.",
  deleteThisWebhook: "Delete this webhook?",
  deleteWebhook: "Delete webhook",
  keepIt: "Keep it",
  hearsNothingMoreWhat:
    " hears nothing more, and what still waits to be delivered is thrown away. Its secret is void. This cannot be undone.",
  makeWebhook: "Make webhook",
  address: "Address",
  beginsHttpsCanReached: "Begins with https:// and can be reached from the internet.",
  itIsCalledWhen: "It is called when",
  status: "Status",
  switchOn: "Switch on",
  test: "Test",
  delete: "Delete",
  testWay: "Test is on its way…",
  testDeliveredIn: (durationMs: Shown) => `Test delivered in ${durationMs}`,
  noReasonKnown: "no reason known",
  testNotDelivered: (reason: Shown) => `Test not delivered: ${reason}`,
  allEvents: "All events",
  since: (since: Shown) => `since ${since}`,
};
