import { useEffect } from "preact/hooks";
import type { App } from "../models/app.ts";
import { signedOutPage as texts } from "../texts/frame.ts";

/** The worker sends the browser on to the Hub, which alone knows who people are; back from there this page opens again. */
export function SignedOutPage({ app, ended }: { app: App; ended: boolean }) {
  useEffect(() => {
    document.title = texts.signInMigrate;
  }, []);
  return (
    <main class="signed-out">
      <img src="/icon.svg" width="56" height="56" alt="" />
      <h1>{ended ? texts.yourSessionHasEnded : texts.migrate}</h1>
      <p>{ended ? texts.signAgainYouBack : texts.moveYourCustomersFiles}</p>
      <a
        class="button button-primary button-large"
        href="/sso/start"
        data-testid="sign-in"
        onClick={app.leaveToSignIn}
      >
        {ended ? texts.signInAgain : texts.signIn}
      </a>
    </main>
  );
}
