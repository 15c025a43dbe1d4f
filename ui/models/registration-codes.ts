/** The registration codes that were made; the codes themselves were shown once and are nowhere. */
import type { RegistrationCode } from "../../schema/api.ts";
import { type Api, sentenceOf } from "../api.ts";
import { createList, type ListModel } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";
import { registrationCodes as texts } from "../texts/agents.ts";

export interface RegistrationCodesModel {
  readonly list: ListModel<RegistrationCode>;
  revoke(id: string): Promise<void>;
  open(): void;
  close(): void;
}

export function createRegistrationCodes(api: Api, toasts: ToastsModel): RegistrationCodesModel {
  const list = createList<RegistrationCode>((query, abort) => api.registrationCodes.list(query, abort));
  return {
    list,
    async revoke(id) {
      try {
        await api.registrationCodes.revoke(id);
        toasts.show("success", texts.registrationCodeRevoked);
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
      }
      await list.reload();
    },
    open: () => void list.reload(),
    close: list.close,
  };
}
