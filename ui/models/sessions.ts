/** Where people are signed in, and putting an end to it. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { SessionEntry } from "../../schema/sessions.ts";
import { type Api, sentenceOf } from "../api.ts";
import { formatCountOf } from "../format.ts";
import { createSettingsApi } from "../settings-api.ts";
import { createList, type ListModel } from "./remote.ts";
import { createRowActions, type RowActions } from "./row-actions.ts";
import type { ToastsModel } from "./toasts.ts";
import { sessions as texts } from "../texts/settings.ts";

export type SessionsOf = "mine" | "everybody";

export interface SessionsModel {
  readonly list: ListModel<SessionEntry>;
  readonly whose: ReadonlySignal<SessionsOf>;
  readonly actions: RowActions;
  /** Everybody's are for admins. */
  show(whose: SessionsOf): void;
  revoke(entry: SessionEntry): Promise<boolean>;
  /** Ends all sessions of the person who asks but this one. */
  revokeOthers(): Promise<void>;
  open(): void;
  close(): void;
}

export function createSessions(api: Api, toasts: ToastsModel): SessionsModel {
  const { sessions } = createSettingsApi(api);
  const whose = signal<SessionsOf>("mine");
  const list = createList<SessionEntry>((query, abort) =>
    sessions.list(whose.peek() === "mine" ? query : { ...query, all: "1" }, abort),
  );
  const actions = createRowActions(list, toasts);
  return {
    list,
    whose,
    actions,
    show(next) {
      whose.value = next;
      void list.reload();
    },
    revoke: (entry) => actions.run(entry.id, () => sessions.revoke(entry.id), texts.signedOutThere),
    async revokeOthers() {
      try {
        const { revoked } = await sessions.revokeOthers();
        const browsers = formatCountOf(revoked, "otherBrowser");
        toasts.show("success", revoked === 0 ? texts.youSignedNowhereElse : texts.signedOutOf(browsers));
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
      }
      await list.reload();
    },
    open: () => void list.reload(),
    close: list.close,
  };
}

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, texts.edge],
  [/\bOPR\//, texts.opera],
  [/\b(?:Firefox|FxiOS)\//, texts.firefox],
  [/\b(?:Chrome|CriOS|HeadlessChrome)\//, texts.chrome],
  [/\bSafari\//, texts.safari],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/Windows/, texts.windows],
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Android/, texts.android],
  [/Mac OS X|Macintosh/, "macOS"],
  [/CrOS/, texts.chromeos],
  [/Linux/, texts.linux],
];

/** What a browser calls itself, in words: `Chrome on Windows`. Anybody may write anything there, so it is a hint and no proof. */
export function deviceOf(userAgent: string | null): string {
  const find = (names: readonly (readonly [RegExp, string])[]) =>
    names.find(([pattern]) => pattern.test(userAgent ?? ""))?.[1];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  if (browser === undefined) return system === undefined ? texts.anotherProgram : texts.aProgramOn(system);
  return system === undefined ? browser : texts.on(browser, system);
}
