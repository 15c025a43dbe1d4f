/** Clients: the list, one client with its projects, and the form that makes or changes one. */
import type { Client, Project } from "../../schema/api.ts";
import type { Usage } from "../../schema/reports.ts";
import { type Api, type FieldErrors, sentenceOf } from "../api.ts";
import { createForm, type Form, textOrNull } from "./form.ts";
import { askOf, type ListState, listText } from "./list-state.ts";
import { createList, createRemote, type ListModel, type RemoteModel } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";
import { clients as texts } from "../texts/clients.ts";

export interface ClientListModel {
  readonly list: ListModel<Client>;
  show(state: ListState): void;
  open(): void;
  close(): void;
}

export function createClientList(api: Api, begun: ListState): ClientListModel {
  let state = begun;
  const list = createList<Client>((query, abort) => api.clients.list({ ...askOf(state), ...query }, abort));
  return {
    list,
    show(wanted) {
      if (listText(wanted) === listText(state)) return;
      state = wanted;
      void list.restart();
    },
    open: () => void list.reload(),
    close: list.close,
  };
}

export interface ClientPageModel {
  readonly client: RemoteModel<Client>;
  readonly projects: ListModel<Project>;
  readonly usage: RemoteModel<Usage>;
  /** Removes a client that has no projects; then calls `removed`. */
  remove(): Promise<void>;
  /** Archives an active client, brings an archived one back. */
  setStatus(status: Client["status"]): Promise<void>;
  open(): void;
  close(): void;
}

export function createClientPage(
  { api, toasts }: { api: Api; toasts: ToastsModel },
  clientId: string,
  removed: () => void = () => {},
): ClientPageModel {
  const client = createRemote((abort) => api.clients.get(clientId, abort));
  const projects = createList<Project>((query, abort) => api.projects.list({ ...query, clientId }, abort));
  const usage = createRemote((abort) => api.clients.usage(clientId, abort));
  return {
    client,
    projects,
    usage,
    async remove() {
      try {
        await api.clients.remove(clientId);
        toasts.show("success", texts.clientDeleted);
        removed();
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
      }
    },
    async setStatus(status) {
      try {
        client.put(await api.clients.update(clientId, { status }));
        toasts.show("success", status === "archived" ? texts.clientArchived : texts.clientIsActiveAgain);
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
      }
    },
    open() {
      void client.reload();
      void projects.reload();
      void usage.reload();
    },
    close() {
      client.close();
      projects.close();
      usage.close();
    },
  };
}

export interface ClientValues {
  readonly name: string;
  readonly contactName: string;
  readonly contactEmail: string;
  readonly psaCompanyId: string;
}

export function createClientForm(
  world: { api: Api; uuid(): string },
  plan: { client: Client | null; saved(client: Client): void },
): Form<ClientValues> {
  const { client } = plan;
  return createForm<ClientValues, Client>({
    initial: {
      name: client?.name ?? "",
      contactName: client?.contactName ?? "",
      contactEmail: client?.contactEmail ?? "",
      psaCompanyId: client?.psaCompanyId ?? "",
    },
    idempotencyKey: world.uuid(),
    check: checkClient,
    save(values, key) {
      const body = {
        name: values.name.trim(),
        contactName: textOrNull(values.contactName),
        contactEmail: textOrNull(values.contactEmail),
        psaCompanyId: textOrNull(values.psaCompanyId),
      };
      return client === null
        ? world.api.clients.create(body, key)
        : world.api.clients.update(client.id, body);
    },
    saved: plan.saved,
  });
}

function checkClient(values: ClientValues): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.name.trim() === "") errors["name"] = texts.giveAName;
  const email = values.contactEmail.trim();
  if (email !== "" && !/^\S+@\S+\.\S+$/.test(email)) errors["contactEmail"] = texts.notEMailAddress;
  return errors;
}
