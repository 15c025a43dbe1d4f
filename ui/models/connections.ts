/** Connections to Azure Storage: the list, and the form that adds one. A connection's secret is sent and never comes back. */
import type { Connection, ConnectionCreate } from "../../schema/api.ts";
import type { Api, FieldErrors } from "../api.ts";
import { createForm, type Form } from "./form.ts";
import { createList, type ListModel } from "./remote.ts";
import { createRowActions, type RowActions } from "./row-actions.ts";
import type { ToastsModel } from "./toasts.ts";
import { connections as texts } from "../texts/settings.ts";

export interface ConnectionListModel {
  readonly list: ListModel<Connection>;
  readonly actions: RowActions;
  remove(connection: Connection): Promise<boolean>;
  open(): void;
  close(): void;
}

export function createConnectionList(world: { api: Api; toasts: ToastsModel }): ConnectionListModel {
  const { connections } = world.api;
  const list = createList<Connection>((query, abort) => connections.list(query, abort));
  const actions = createRowActions(list, world.toasts);
  return {
    list,
    actions,
    remove: ({ id }) => actions.run(id, () => connections.remove(id), texts.connectionDeleted),
    open: () => void list.reload(),
    close: list.close,
  };
}

export interface ConnectionValues {
  readonly name: string;
  readonly kind: ConnectionCreate["kind"];
  readonly connectionString: string;
  readonly containerSasUrl: string;
}

export function createConnectionForm(
  world: { api: Api; uuid(): string },
  saved: (connection: Connection) => void,
): Form<ConnectionValues> {
  return createForm<ConnectionValues, Connection>({
    initial: { name: "", kind: "connection_string", connectionString: "", containerSasUrl: "" },
    idempotencyKey: world.uuid(),
    check: checkConnection,
    save(values, key) {
      const name = values.name.trim();
      return values.kind === "connection_string"
        ? world.api.connections.create(
            { kind: values.kind, name, connectionString: values.connectionString.trim() },
            key,
          )
        : world.api.connections.create(
            { kind: values.kind, name, containerSasUrl: values.containerSasUrl.trim() },
            key,
          );
    },
    saved,
  });
}

function checkConnection(values: ConnectionValues): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.name.trim() === "") errors["name"] = texts.giveAName;
  if (values.kind === "connection_string" && values.connectionString.trim() === "") {
    errors["connectionString"] = texts.pasteTheConnectionString;
  }
  if (values.kind === "container_sas" && values.containerSasUrl.trim() === "") {
    errors["containerSasUrl"] = texts.pasteContainersSasUrl;
  }
  return errors;
}

export type ConnectionState =
  | { readonly kind: "active" }
  | { readonly kind: "lapses"; readonly days: number }
  | { readonly kind: "lapsed" }
  /** Microsoft asks for a new sign-in. */
  | { readonly kind: "refused" };

const DAY_MS = 86_400_000;
const WARNED_DAYS = 14;
/** A sign-in that nobody uses for so long is void ("Refresh tokens in the Microsoft identity platform"). */
const SIGN_IN_IDLE_MS = 90 * DAY_MS;

export function connectionState(connection: Connection, nowMs: number): ConnectionState {
  const { consent } = connection;
  if (consent !== undefined && consent.refusedAt !== null) return { kind: "refused" };
  const lapsesAtMs = lapseOf(connection);
  if (lapsesAtMs === null) return { kind: "active" };
  const leftMs = lapsesAtMs - nowMs;
  if (leftMs <= 0) return { kind: "lapsed" };
  const days = Math.floor(leftMs / DAY_MS);
  return days <= WARNED_DAYS ? { kind: "lapses", days } : { kind: "active" };
}

function lapseOf({ expiresAt, consent }: Connection): number | null {
  if (expiresAt !== null) return Date.parse(expiresAt);
  const usedAt = consent?.refreshedAt ?? null;
  return usedAt === null ? null : Date.parse(usedAt) + SIGN_IN_IDLE_MS;
}
