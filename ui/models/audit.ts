/** The audit log: what is looked for, the entries that fit, who is meant by an id, and a table of them to take along. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { AuditEntry, AuditHead } from "../../schema/audit.ts";
import type { Member } from "../../schema/sessions.ts";
import { type Api, type ListQuery, sentenceOf } from "../api.ts";
import { LIST_LIMIT_MAX } from "../contract.ts";
import { type AuditFilter, createSettingsApi } from "../settings-api.ts";
import { createList, createRemote, type ListModel, loadAll } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";

/** As chosen on the page; an empty text chooses everything. Days are the reader's own, `2026-05-31`. */
export interface AuditChoice {
  readonly action: string;
  readonly actor: string;
  readonly fromDay: string;
  readonly toDay: string;
}
const EVERYTHING: AuditChoice = { action: "", actor: "", fromDay: "", toDay: "" };

/** What a table for a spreadsheet holds at most; the whole log is the export's. */
export const TABLE_ROWS_MAX = 10_000;
/** A page may bring little of what fits and still be followed by others, so rows alone bound nothing. */
const TABLE_PAGES_MAX = 100;

export interface AuditModel {
  readonly list: ListModel<AuditEntry>;
  readonly head: ReadonlySignal<AuditHead | null>;
  readonly choice: ReadonlySignal<AuditChoice>;
  readonly isFiltered: ReadonlySignal<boolean>;
  readonly members: ReadonlySignal<readonly Member[]>;
  /** Names of people, agents and keys, by id; null until those of people are there. */
  readonly names: ReadonlySignal<ReadonlyMap<string, string> | null>;
  readonly collecting: ReadonlySignal<boolean>;
  choose(change: Partial<AuditChoice>): void;
  clear(): void;
  /** All entries that fit, newest first, up to the bound; null if they could not be fetched, which is told. */
  collect(): Promise<readonly AuditEntry[] | null>;
  open(): void;
  close(): void;
}

export function createAudit({ api, toasts }: { api: Api; toasts: ToastsModel }): AuditModel {
  const settings = createSettingsApi(api);
  const choice = signal<AuditChoice>(EVERYTHING);
  const head = signal<AuditHead | null>(null);
  const collecting = signal(false);
  const load = async (query: ListQuery, abort: AbortSignal) => {
    const page = await settings.audit({ ...filterOf(choice.peek()), ...query }, abort);
    head.value = page.head;
    return page;
  };
  const list = createList<AuditEntry>(load);
  const members = createRemote((abort) => loadAll(settings.members, abort));
  const others = createRemote(async (abort) => [
    ...(await loadAll(api.agents.list, abort)),
    ...(await loadAll(settings.apiKeys.list, abort)),
  ]);
  let closing = new AbortController();

  async function collectRows(abort: AbortSignal): Promise<readonly AuditEntry[]> {
    const rows: AuditEntry[] = [];
    let cursor: string | null = null;
    for (let pages = 0; pages < TABLE_PAGES_MAX && rows.length < TABLE_ROWS_MAX; pages++) {
      const query: ListQuery = { limit: LIST_LIMIT_MAX, ...(cursor === null ? {} : { cursor }) };
      const page = await load(query, abort);
      rows.push(...page.items);
      cursor = page.nextCursor;
      if (cursor === null) break;
    }
    return rows.slice(0, TABLE_ROWS_MAX);
  }

  return {
    list,
    head,
    choice,
    isFiltered: computed(() => Object.values(choice.value).some((value) => value !== "")),
    members: computed(() => members.value.value ?? []),
    names: computed(() =>
      members.value.value === null
        ? null
        : new Map([...members.value.value, ...(others.value.value ?? [])].map(({ id, name }) => [id, name])),
    ),
    collecting,
    choose(change) {
      choice.value = { ...choice.value, ...change };
      void list.reload();
    },
    clear() {
      choice.value = EVERYTHING;
      void list.reload();
    },
    async collect() {
      if (collecting.value) return null;
      collecting.value = true;
      try {
        return await collectRows(closing.signal);
      } catch (error) {
        if (!closing.signal.aborted) toasts.show("danger", sentenceOf(error));
        return null;
      } finally {
        collecting.value = false;
      }
    },
    open() {
      closing = new AbortController();
      void list.reload();
      void members.reload();
      void others.reload();
    },
    close() {
      closing.abort();
      list.close();
      members.close();
      others.close();
    },
  };
}

/** A day of the reader's begins and ends where the reader is; the API knows moments only. */
export function filterOf({ action, actor, fromDay, toDay }: AuditChoice): AuditFilter {
  return {
    ...(action === "" ? {} : { action }),
    ...(actor === "" ? {} : { actor }),
    ...(fromDay === "" ? {} : { from: new Date(`${fromDay}T00:00:00`).toISOString() }),
    ...(toDay === "" ? {} : { to: new Date(`${toDay}T23:59:59.999`).toISOString() }),
  };
}
