/**
 * What a refusal of the blob service means for us: whose trouble it is, and whether to try again.
 * Codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
 */
import type { FileFailureCode, JobErrorCode } from "../../schema/errors.ts";
import type { TransportError } from "../transport.ts";
import { type RetryAdvice, TransferError } from "./connector.ts";

/** An answer that was not the expected one. `code` is empty where the service gave none. */
export interface Failure {
  readonly status: number;
  readonly code: string;
  header(name: string): string | null;
}

export class BlobError extends TransferError {
  readonly serviceCode: string;
  constructor(serviceCode: string, problem: TransferError["problem"], message: string, retry: RetryAdvice) {
    super(problem, message, { retry });
    this.serviceCode = serviceCode;
  }
}

const NEVER: RetryAdvice = { kind: "never" };
/** The service takes half a minute or more to remove a container. */
const BEING_DELETED_MS = 30_000;

const file = (code: FileFailureCode) => ({ scope: "file", code }) as const;
const job = (code: JobErrorCode) => ({ scope: "job", code }) as const;

/** Codes that mean the same whatever the status. */
const BY_CODE: Readonly<
  Record<string, { problem: TransferError["problem"]; retry: RetryAdvice; words: string }>
> = {
  ContainerNotFound: {
    problem: job("DESTINATION_MISSING"),
    retry: NEVER,
    words: "the container does not exist",
  },
  ContainerDisabled: { problem: job("DESTINATION_DENIED"), retry: NEVER, words: "the container is disabled" },
  ContainerBeingDeleted: {
    problem: job("DESTINATION_MISSING"),
    retry: { kind: "backoff", afterMs: BEING_DELETED_MS },
    words: "the container is being deleted",
  },
  AccountIsDisabled: {
    problem: job("DESTINATION_DENIED"),
    retry: NEVER,
    words: "the storage account is disabled",
  },
  BlobNotFound: { problem: file("destination_error"), retry: NEVER, words: "there is no such blob" },
  BlobAlreadyExists: { problem: { scope: "condition" }, retry: NEVER, words: "something is there already" },
  ConditionNotMet: { problem: { scope: "condition" }, retry: NEVER, words: "another version is there" },
  TargetConditionNotMet: { problem: { scope: "condition" }, retry: NEVER, words: "another version is there" },
  InvalidBlockList: {
    problem: { scope: "blocks" },
    retry: NEVER,
    words: "blocks that were sent are not there any more",
  },
  InvalidBlobOrBlock: {
    problem: { scope: "blocks" },
    retry: NEVER,
    words: "blocks of another upload are in the way",
  },
  BlockCountExceedsLimit: { problem: file("too_large"), retry: NEVER, words: "it has too many blocks" },
  RequestBodyTooLarge: {
    problem: file("destination_error"),
    retry: NEVER,
    words: "the request is too large",
  },
  // The bytes were damaged on their way; they are still in our buffer.
  Crc64Mismatch: {
    problem: file("destination_error"),
    retry: { kind: "backoff", afterMs: null },
    words: "what arrived is not what was sent",
  },
  Md5Mismatch: {
    problem: file("destination_error"),
    retry: { kind: "backoff", afterMs: null },
    words: "what arrived is not what was sent",
  },
  BlobArchived: {
    problem: file("destination_exists"),
    retry: NEVER,
    words: "what is there is in the Archive tier and cannot be replaced",
  },
  BlobBeingRehydrated: {
    problem: file("destination_exists"),
    retry: NEVER,
    words: "what is there is being brought back from the Archive tier",
  },
  BlobImmutableDueToPolicy: {
    problem: file("destination_exists"),
    retry: NEVER,
    words: "a policy keeps what is there from being replaced",
  },
  BlobIsSealed: { problem: file("destination_exists"), retry: NEVER, words: "what is there is sealed" },
  SnapshotsPresent: {
    problem: file("destination_exists"),
    retry: NEVER,
    words: "what is there has snapshots",
  },
  InvalidBlobType: {
    problem: file("destination_exists"),
    retry: NEVER,
    words: "what is there is another kind of blob",
  },
  LeaseIdMissing: {
    problem: file("destination_denied"),
    retry: NEVER,
    words: "somebody holds a lease on what is there",
  },
  InvalidResourceName: { problem: file("name_refused"), retry: NEVER, words: "the service refuses the name" },
  InvalidUri: { problem: file("name_refused"), retry: NEVER, words: "the service refuses the name" },
  OutOfRangeInput: {
    problem: file("name_refused"),
    retry: NEVER,
    words: "the service finds the name too long",
  },
};

/** `path` is the entry's, null for the container; `nowMs` is needed for a Retry-After that is a date. */
export function errorOf(failure: Failure, path: string | null, nowMs: number): BlobError {
  const { status, code } = failure;
  const what = path === null ? "Cannot use the container" : `Cannot store "${path}"`;
  const make = (problem: TransferError["problem"], retry: RetryAdvice, words: string) =>
    new BlobError(
      code,
      problem,
      `${what}: ${words} (${[status, code, requestId(failure)].filter((part) => part !== "").join(", ")})`,
      retry,
    );
  const known = BY_CODE[code];
  if (known !== undefined) return make(known.problem, known.retry, known.words);
  // By the service's own clock, where it tells it: ours may be wrong.
  const theirMs = Date.parse(failure.header("date") ?? "");
  const afterMs = readRetryAfter(failure.header("retry-after"), Number.isNaN(theirMs) ? nowMs : theirMs);
  if (status === 401 || status === 403)
    return make(job("DESTINATION_DENIED"), { kind: "new_grant" }, "access is denied");
  if (status === 429 || status === 503 || code === "OperationTimedOut") {
    return make(file("destination_unreachable"), { kind: "throttled", afterMs }, "the service is busy");
  }
  if (status === 408 || status >= 500) {
    return make(file("destination_unreachable"), { kind: "backoff", afterMs }, "the service has trouble");
  }
  if (status === 412) return make({ scope: "condition" }, NEVER, "another version is there");
  // A portal's redirect comes and goes; the service's own leads to where our credential must not go.
  const isService = failure.header("x-ms-request-id") !== null;
  if (status >= 300 && status < 400 && isService)
    return make(job("DESTINATION_REFUSED"), NEVER, "the answer leads to another address");
  // Someone on the way, such as a proxy that wants a sign-in.
  if (!isService) return notFromService(status);
  return make(file("destination_error"), NEVER, "the service refused it");
}

/** No answer at all. */
export function transportError(error: TransportError): BlobError {
  const message = `Cannot reach the storage account: ${error.message}`;
  return new BlobError("", file("destination_unreachable"), message, { kind: "backoff", afterMs: null });
}

/** An answer that no blob service gives: a captive portal, a proxy. */
export function notFromService(status?: number): BlobError {
  const suffix = status === undefined ? "" : ` (${status})`;
  return new BlobError(
    "",
    file("destination_unreachable"),
    `Cannot reach the storage account: something else answers in its place${suffix}`,
    {
      kind: "backoff",
      afterMs: null,
    },
  );
}

function requestId(failure: Failure): string {
  const id = failure.header("x-ms-request-id");
  return id === null ? "" : `request ${id}`;
}

/** Seconds, or a date. */
function readRetryAfter(text: string | null, nowMs: number): number | null {
  if (text === null) return null;
  const seconds = Number(text);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}
