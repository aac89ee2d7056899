/** Every planted bug: a mistake that somebody could make, as small as can be, and what is to catch it. */
import { flusherBugs } from "./flusher-bugs.ts"
import { opencodeBugs } from "./opencode-bugs.ts"
import { serviceBugs } from "./service-bugs.ts"
import { storeBugs } from "./store-bugs.ts"
import type { PlantedBug } from "./layer.ts"

export const planted: readonly PlantedBug[] = [...flusherBugs, ...storeBugs, ...serviceBugs, ...opencodeBugs]
