/** Planted bugs of the opencode adapter: what is shared, when, and by whose word. */
import { byTest, type PlantedBug } from "./layer.ts"

export const opencodeBugs: readonly PlantedBug[] = [
  {
    patch: "catch-up-overwrites-live-state",
    wrong: "a catch-up records what it has read, whatever was recorded since",
    caughtBy: byTest(
      "opencode/share-sync-race",
      "what lies below a message that changed while it was compared is shared by a second look",
    ),
  },
  {
    patch: "catch-up-leaves-ghosts",
    wrong: "what opencode does not hold any more stays on the share",
    caughtBy: byTest("opencode/plugin", "what happened while the plugin was not there is caught up at the next start"),
  },
  {
    patch: "touched-message-not-looked-at-again",
    wrong: "what lies below a message that changed meanwhile is never looked at again",
    caughtBy: byTest(
      "opencode/share-sync-race",
      "what lies below a message that changed while it was compared is shared by a second look",
    ),
  },
  {
    patch: "elsewhere-told-by-other-rules",
    wrong: "a session is told by the options of whatever directory it goes on in",
    caughtBy: byTest(
      "opencode/plugin-rules",
      "what a session does in another directory, with other options, is told by its own only",
    ),
  },
  {
    patch: "shared-again-on-the-removed-share",
    wrong: "a session that is shared again gets the stream whose share was removed",
    caughtBy: byTest(
      "opencode/plugin",
      "unshare removes the share, and sharing again makes another one with everything",
    ),
  },
  {
    patch: "service-key-to-every-service",
    wrong: "the service key goes wherever a share is",
    caughtBy: byTest(
      "opencode/plugin-away",
      "the service key goes to the service that was named, and to no other at which a share still is",
    ),
  },
]
