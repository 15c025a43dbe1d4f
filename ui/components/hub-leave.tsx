/** The two questions that stand between a person and losing what they typed: leaving a form, and a session that has ended. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../models/app.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { hubLeave as texts } from "../texts/hub.ts";

export function HubLeave({ app }: { app: App }) {
  if (app.session.waits.value) return <SignInAgain app={app} />;
  if (app.unsaved.leaving.value !== null) return <LeaveDialog app={app} />;
  return null;
}

function LeaveDialog({ app }: { app: App }) {
  return (
    <Dialog title={texts.leaveWithoutSaving} testId="leave" onClose={app.unsaved.stay}>
      <p class="dialog-text">{texts.whatYouTypedPage}</p>
      <div class="form-actions">
        <Button look="danger" testId="leave-discard" onPress={app.unsaved.discard}>
          {texts.leave}
        </Button>
        <Button look="quiet" testId="leave-stay" onPress={app.unsaved.stay}>
          {texts.stayHere}
        </Button>
      </div>
    </Dialog>
  );
}

/** Signing in takes another tab, because leaving this one would lose what is on it. */
function SignInAgain({ app }: { app: App }) {
  const [hidden, setHidden] = useState(false);
  const [looked, setLooked] = useState(false);
  const looking = useRef(false);
  const look = () => {
    if (looking.current) return;
    looking.current = true;
    void app.session.load().then(() => {
      looking.current = false;
      if (app.session.waits.peek()) setLooked(true);
      else app.toasts.show("success", texts.youSignedAgain);
    });
  };
  useEffect(() => {
    // Back from the other tab.
    const back = () => {
      if (document.visibilityState === "visible") look();
    };
    document.addEventListener("visibilitychange", back);
    addEventListener("focus", back);
    return () => {
      document.removeEventListener("visibilitychange", back);
      removeEventListener("focus", back);
    };
  }, []);
  if (hidden) {
    return (
      <div class="session-over" role="alert">
        <span>{texts.youAreSignedOut}</span>
        <Button look="primary" testId="sign-in-show" onPress={() => setHidden(false)}>
          {texts.signInAgain}
        </Button>
      </div>
    );
  }
  return (
    <Dialog title={texts.yourSessionHasEnded} testId="session-over" onClose={() => setHidden(true)}>
      <p class="dialog-text">{texts.whatYouTypedStill}</p>
      <div class="form-actions">
        <a
          class="button button-primary"
          href="/sso/start"
          target="_blank"
          rel="noopener"
          data-testid="sign-in-again"
        >
          {texts.signInAgain}
        </a>
        <Button testId="signed-in-again" onPress={look}>
          {texts.iHaveSignedIn}
        </Button>
      </div>
      <p class="dialog-note" role="status">
        {looked && texts.nobodySignedYetFinish}
      </p>
    </Dialog>
  );
}
