/** Connections to Azure Storage: the list, and the form that adds one. A connection's secret is sent and never comes back. */
import type { Connection, ConnectionCreate } from "../../schema/api.ts";
import type { Api, FieldErrors } from "../api.ts";
import { createForm, type Form } from "./form.ts";
import { createList, type ListModel } from "./remote.ts";

export interface ConnectionListModel {
  readonly list: ListModel<Connection>;
  open(): void;
  close(): void;
}

export function createConnectionList(api: Api): ConnectionListModel {
  const list = createList<Connection>((query, abort) => api.connections.list(query, abort));
  return { list, open: () => void list.reload(), close: list.close };
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
  if (values.name.trim() === "") errors["name"] = "Give a name";
  if (values.kind === "connection_string" && values.connectionString.trim() === "") {
    errors["connectionString"] = "Paste the connection string";
  }
  if (values.kind === "container_sas" && values.containerSasUrl.trim() === "") {
    errors["containerSasUrl"] = "Paste the container's SAS URL";
  }
  return errors;
}
