import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Page } from "../components/page.tsx";
import { notAllowedPage as texts } from "../texts/pages.ts";

/** In place of a form whose save would only be refused, for who comes here by its address. */
export function NotAllowedPage() {
  return (
    <Page title={texts.notForViewers}>
      <EmptyState
        icon="warning"
        title={texts.youMayLookBut}
        action={<LinkButton href="/">{texts.toTheDashboard}</LinkButton>}
      >
        {texts.yourRoleViewerAdmin}
      </EmptyState>
    </Page>
  );
}
