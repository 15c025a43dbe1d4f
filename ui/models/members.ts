/** The people of the organization. They come from the Hub, so they are only read here. */
import type { Member } from "../../schema/sessions.ts";
import type { Api } from "../api.ts";
import { createSettingsApi } from "../settings-api.ts";
import { createList, type ListModel } from "./remote.ts";

export interface MembersModel {
  readonly list: ListModel<Member>;
  open(): void;
  close(): void;
}

export function createMembers(api: Api): MembersModel {
  const { members } = createSettingsApi(api);
  const list = createList<Member>((query, abort) => members(query, abort));
  return { list, open: () => void list.reload(), close: list.close };
}
