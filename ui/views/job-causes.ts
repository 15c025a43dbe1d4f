/** Why files were not moved, by cause: what it is called, and what a person does about it. */
import type { FileFailureCode } from "../../schema/errors.ts";
import type { FileFailure } from "../../schema/job.ts";
import { jobCauses as texts } from "../texts/job.ts";

export interface CauseWords {
  readonly title: string;
  readonly next: string;
}

export interface Cause extends CauseWords {
  readonly code: string;
  readonly failures: readonly FileFailure[];
}

const CAUSES: Readonly<Record<FileFailureCode, CauseWords>> = {
  source_denied: {
    title: texts.agentsAccountMayNot,
    next: texts.giveAccountAgentRuns,
  },
  source_unreadable: {
    title: texts.theyCannotBeRead,
    next: texts.openOneThemMachine,
  },
  source_vanished: {
    title: texts.theyGoneWhenTheir,
    next: texts.somebodyMovedDeletedThem,
  },
  source_changing: {
    title: texts.theyKeptChangingWhile,
    next: texts.closeProgramWritesThem,
  },
  source_locked: {
    title: texts.otherProgramsHaveLocked,
    next: texts.closeProgramsHoldThem,
  },
  name_refused: {
    title: texts.destinationCannotHoldTheir,
    next: texts.giveThemShorterPlainer,
  },
  too_large: {
    title: texts.theyLargerThanDestination,
    next: texts.chooseLargerChunkSize,
  },
  destination_exists: {
    title: texts.somethingElseTheirNames,
    next: texts.nothingOverwrittenUnaskedMove,
  },
  destination_denied: {
    title: texts.theDestinationDeniesAccess,
    next: texts.checkAccessStorageConnection,
  },
  destination_unreachable: {
    title: texts.destinationCouldNotReached,
    next: texts.checkSitesInternetLine,
  },
  destination_error: {
    title: texts.theDestinationRefusedThem,
    next: texts.lookWhatSaidBelow,
  },
  verification_failed: {
    title: texts.whatArrivedNotWhat,
    next: texts.retryFailedFilesThey,
  },
};

/** The failures by cause, the most frequent first. A cause that is newer than this page says what the agent said. */
export function causesOf(failures: readonly FileFailure[]): readonly Cause[] {
  const byCode = new Map<string, FileFailure[]>();
  for (const failure of failures) {
    const held = byCode.get(failure.code);
    if (held === undefined) byCode.set(failure.code, [failure]);
    else held.push(failure);
  }
  return [...byCode]
    .map(([code, some]) => ({ code, failures: some, ...wordsOf(code, some[0]?.message ?? code) }))
    .toSorted(
      (one, other) => other.failures.length - one.failures.length || (one.code < other.code ? -1 : 1),
    );
}

function wordsOf(code: string, message: string): CauseWords {
  if (Object.hasOwn(CAUSES, code)) return CAUSES[code as FileFailureCode];
  return { title: message, next: texts.lookWhatAgentSays };
}

/** What an agent says of a file besides its name, which stands there already. */
export function detailOf({ path, message }: Pick<FileFailure, "path" | "message">): string {
  const begin = /^Cannot \w+ /.exec(message)?.[0];
  const named = `${begin}"${path}": `;
  return begin !== undefined && message.startsWith(named) ? message.slice(named.length) : message;
}
