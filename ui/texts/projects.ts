/** Texts of the pages of projects and of their form. */
import type { Shown } from "./nouns.ts";

export const projectForm = {
  giveAName: "Give a name",
  chooseAClient: "Choose a client",
  chooseAConnection: "Choose a connection",
  chooseAContainer: "Choose a container",
  containerNameRule: "3 to 63 lower-case letters, digits and single hyphens",
  foldersSeparatedSingleSlashes:
    "Folders separated by single slashes, such as acme-corp/files, without . or ..",
};

export const projectFormPage = {
  newProject: "New project",
  projects: "Projects",
  project: "Project",
  editProject: "Edit project",
  createProject: "Create project",
  save: "Save",
  connectAzureStorage: "Connect Azure Storage",
  noClient: { before: "There is no client yet. ", link: "Create one first", after: "." },
  name: "Name",
  client: "Client",
  chooseAClient: "Choose a client",
  type: "Type",
  description: "Description",
  psaTicketId: "PSA ticket id",
  psaProjectId: "PSA project id",
  azureStorage: "Azure Storage",
  addConnection: "Add connection",
  thereNoConnectionAzure: "There is no connection to Azure Storage yet. An admin adds one under Settings.",
  connection: "Connection",
  noConnectionYet: "No connection yet",
  chooseAConnection: "Choose a connection",
  tier: "Tier",
  folderInTheContainer: "Folder in the container",
  container: "Container",
  oneContainerConnectionOpens: "The one container this connection opens.",
  containersNotListed: (problem: Shown) => `The containers could not be listed: ${problem}.`,
  tryAgain: "Try again",
  newContainer: "New container",
  madeStorageAccountWhen:
    "Made in the storage account when you save. Lower-case letters, digits and hyphens.",
  pickFromTheList: "Pick from the list",
  listingContainers: "Listing containers…",
  chooseAContainer: "Choose a container",
};

export const projectPage = {
  newJob: "New job",
  project: "Project",
  projects: "Projects",
  reopen: "Reopen",
  cancelProject: "Cancel project",
  delete: "Delete",
  edit: "Edit",
  storageAccountNoLonger:
    "The storage account no longer accepts this project's connection. Edit the project and choose another.",
  jobsFailed: (jobs: Shown) =>
    `${jobs} failed. A failed job can be retried: what is there and identical is skipped.`,
  client: "Client",
  type: "Type",
  storageAccount: "Storage account",
  container: "Container",
  folder: "Folder",
  theContainerItself: "The container itself",
  tier: "Tier",
  bandwidth: "Bandwidth",
  psaTicket: "PSA ticket",
  psaProject: "PSA project",
  created: "Created",
  jobs: "Jobs",
  noJobsYet: "No jobs yet",
  jobMovesOneFolder: "A job moves one folder, by one agent.",
  cancelThisProject: "Cancel this project?",
  keepItGoing: "Keep it going",
  allJobsNotFinished:
    "All of its jobs that are not finished stop at once. What is already at the destination stays there. The project can be reopened, and its cancelled jobs retried.",
  deleteThisProject: "Delete this project?",
  deleteProject: "Delete project",
  keepIt: "Keep it",
  descriptionPlaceStorageAccount:
    "Its description, its place in the storage account and its bandwidth schedule are gone for good. No job was ever made in it, so nothing that was moved is concerned.",
};

export const projects = {
  projectCancelledJobs: "Project cancelled, with its jobs",
  projectIsOpenAgain: "Project is open again",
  projectDeleted: "Project deleted",
};

export const projectsPage = {
  newProject: "New project",
  projects: "Projects",
  oneEngagementOneClient: "One engagement for one client, with its jobs.",
  inSearch: "projects",
  noProjectsYet: "No projects yet",
  projectSaysWhomFiles: "A project says for whom files are moved, and to which place in a storage account.",
};

export const projectTable = {
  project: "Project",
  type: "Type",
  storage: "Storage",
  jobs: "Jobs",
  failed: (jobs: Shown) => `(${jobs} failed)`,
  status: "Status",
  projects: "Projects",
};
