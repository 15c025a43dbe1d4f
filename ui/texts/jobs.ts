/** Texts of the lists of jobs. */

export const jobsPage = {
  all: "All",
  noJobsYet: "No jobs yet",
  active: "Active",
  nothingIsRunning: "Nothing is running",
  finished: "Finished",
  noJobHasFinished: "No job has finished yet",
  failed: "Failed",
  noJobHasFailed: "No job has failed",
  newJob: "New job",
  jobs: "Jobs",
  oneFolderEachMoved: "One folder each, moved by one agent.",
  whichJobs: "Which jobs",
  inSearch: "jobs",
  noJobKind: "No job of this kind",
  jobsCreatedWithinProject: "Jobs are created within a project.",
};
