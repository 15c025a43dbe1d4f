/**
 * Errors as they cross a boundary: the body of a refused HTTP request, and the codes a file or a job fails with.
 * One catalogue, shared by agent, worker and dashboard, so that a code always reads the same.
 */
import * as z from "zod";

/** The one body of every refused request. */
export const errorBody = z.object({
  error: z.string(),
  code: z.string(),
  details: z.record(z.string(), z.unknown()).nullable(),
});
export type ErrorBody = z.infer<typeof errorBody>;

/** Codes of refused requests. */
export const API_CODES = [
  "VALIDATION_ERROR",
  "UNAUTHORIZED",
  "FORBIDDEN",
  "NOT_FOUND",
  "CONFLICT",
  "RATE_LIMIT_EXCEEDED",
  "REGISTRATION_REFUSED",
  "AGENT_PENDING",
  "AGENT_LOCKED",
  "NO_AZURE_CONNECTION",
  "STORAGE_UNREACHABLE",
  "STORAGE_DENIED",
  "AZURE_AUTH_EXPIRED",
  "NOT_CONFIGURED",
  "INTERNAL_ERROR",
] as const;
export type ApiCode = (typeof API_CODES)[number];

/** Why a whole job failed, and the sentence a person reads. */
export const JOB_ERRORS = {
  NO_AZURE_CONNECTION: "Project has no Azure connection",
  SOURCE_NOT_FOUND: "The source folder does not exist on the agent's machine",
  SOURCE_UNREADABLE: "The agent's account cannot read the source folder",
  SOURCE_REFUSED: "The agent refuses this source path",
  DESTINATION_REFUSED: "The agent refuses this destination",
  DESTINATION_UNREACHABLE: "The storage account cannot be reached from the agent's machine",
  DESTINATION_DENIED: "The storage account denies access",
  DESTINATION_MISSING: "The container does not exist",
  CONFIG_REFUSED: "The agent does not understand this job",
  JOURNAL_BROKEN: "The agent's journal of this job is damaged",
  AGENT_ERROR: "The agent met an unexpected error",
} as const;
export type JobErrorCode = keyof typeof JOB_ERRORS;
export const jobErrorCode = z.enum(Object.keys(JOB_ERRORS) as [JobErrorCode, ...JobErrorCode[]]);

/** Why one file was not moved. */
export const FILE_FAILURES = {
  source_denied: "The agent's account may not read it",
  source_unreadable: "It cannot be read",
  source_vanished: "It was gone when its turn came",
  source_changing: "It kept changing while it was read",
  source_locked: "Another program has locked it",
  name_refused: "The destination cannot hold this name",
  too_large: "It is larger than the destination can hold",
  destination_exists: "Something else of this name is at the destination",
  destination_denied: "The destination denies access",
  destination_unreachable: "The destination could not be reached",
  destination_error: "The destination refused it",
  verification_failed: "What the destination holds is not what was sent",
} as const;
export type FileFailureCode = keyof typeof FILE_FAILURES;
export const fileFailureCode = z.enum(Object.keys(FILE_FAILURES) as [FileFailureCode, ...FileFailureCode[]]);

/** Why one file was left out on purpose. */
export const FILE_SKIPS = {
  filtered: "Left out by a filter",
  identical: "Already at the destination",
  link: "A symbolic link, which is not followed",
  special: "Not a regular file",
  archived: "In the Archive tier at the destination, where it cannot be replaced",
} as const;
export type FileSkipCode = keyof typeof FILE_SKIPS;
