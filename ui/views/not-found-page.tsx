import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Page } from "../components/page.tsx";
import { notFoundPage as texts } from "../texts/frame.ts";

export function NotFoundPage() {
  return (
    <Page title={texts.notFound}>
      <EmptyState
        icon="warning"
        title={texts.thereNoSuchPage}
        action={<LinkButton href="/">{texts.toTheDashboard}</LinkButton>}
      />
    </Page>
  );
}
