/** Texts of the page of reports. */

export const reportsPage = {
  job: "Job",
  outcome: "Outcome",
  files: "Files",
  size: "Size",
  notMoved: "Not moved",
  verified: "Verified",
  off: "Off",
  finished: "Finished",
  export: "Export",
  csv: "CSV",
  whichOutcome: "Which outcome",
  anyOutcome: "Any outcome",
  reports: "Reports",
  whatFinishedJobsHave: "What finished jobs have moved, and how it was proved.",
  reports2: "reports",
  noReportYet: "No report yet",
  everyJobHasOne: "Every job has one as soon as it has ended: what was moved, what was not, and the proof.",
};
