/** Texts of small pages and models that belong to no other part. */
import type { Shown } from "./nouns.ts";

export const approvals = {
  isApproved: (name: Shown) => `${name} is approved`,
  isRefused: (name: Shown) => `${name} is refused`,
};

export const megabits = {
  fromMbpsNothing: (min: Shown, max: Shown) => `From ${min} to ${max} Mbps, or nothing`,
};

export const notAllowedPage = {
  notForViewers: "Not for viewers",
  youMayLookBut: "You may look, but not change anything",
  toTheDashboard: "To the dashboard",
  yourRoleViewerAdmin: "Your role is viewer. An admin or the owner can change it in the Hub.",
};

export const usageCard = {
  movedSoFar: "Moved so far",
  csv: "CSV",
  json: "JSON",
  sent: "Sent",
  files: "Files",
  activeJobs: "Active jobs",
  completedJobs: "Completed jobs",
  failedJobs: "Failed jobs",
};
