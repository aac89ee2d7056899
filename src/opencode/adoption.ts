/**
 * What opencode's own client did to shares while the plugin was away, seen in opencode's database: it is what the user
 * sees, and what he can unshare. Shares that it made are taken over; a share of ours that it has replaced, or unshared,
 * goes.
 */
import type { Clock } from "../intent/seam.ts"
import { adopt, isOurs, serviceOf } from "./foreign-share.ts"
import type { EventLog, KnownShare } from "./event-log.ts"
import type { Notices } from "./notice.ts"
import { shareId } from "./share-info.ts"
import type { ShareSync } from "./share-sync.ts"

/** Until a share that opencode shows instead of ours is believed: it writes down what it was answered, just then; ms. */
const written_ms = 2_000

export interface AdoptionParts {
  sync: ShareSync
  directory: string
  clock: Clock
  notices: Notices
  log: () => EventLog | undefined
  /** Endpoints at which a share of this directory may be. */
  services: () => (string | undefined)[]
  /** False once another setup has taken the place of this one. */
  isCurrent: () => boolean
}

export class Adoption {
  constructor(readonly parts: AdoptionParts) {}

  /** Takes over the shares of this directory that opencode knows and the outbox does not. @throws SturdyError as `adopt` */
  adoptAll(): void {
    const { shares } = this.parts.sync
    for (const share of this.#known()) {
      if (isOurs(shares, share)) continue
      if (shares.current(share.session_id)) this.#replaceLater(share)
      else this.#adopt(share)
    }
  }

  /** The service says that somebody removed the share of this session: was it the user, by opencode without this plugin? */
  removedThere(session_id: string): void {
    const { log, sync, directory } = this.parts
    const current = sync.shares.current(session_id)
    if (!current || log()?.directoryOf(session_id) !== directory) return
    const shown = this.#known().find((share) => share.session_id === session_id)
    // opencode shows it still: somebody else removed it, and whoever looks at it is to know.
    if (shown && isOurs(sync.shares, shown)) return
    sync.remove(session_id)
    if (shown) this.#adopt(shown)
  }

  /** opencode shows another share than ours. It may be about to write down ours. */
  #replaceLater(share: KnownShare): void {
    const { clock, sync, notices, isCurrent } = this.parts
    const ours = sync.shares.current(share.session_id)
    const replace = () => {
      if (!isCurrent()) return
      const shown = this.#known().find(({ session_id }) => session_id === share.session_id)
      const current = sync.shares.current(share.session_id)
      if (shown?.id !== share.id || !current || !ours || shareId(current) !== shareId(ours)) return
      try {
        sync.remove(share.session_id)
        this.#adopt(share)
      } catch (error) {
        notices.failed("a share that opencode has replaced was not given up yet", error)
      }
    }
    clock.timer(written_ms, replace, false)
  }

  #adopt(share: KnownShare): void {
    const { sync, services, notices } = this.parts
    const service = serviceOf(share.url, services())
    if (service === undefined)
      return notices.once(`foreign ${share.session_id}`, {
        level: "warn",
        message: `session ${share.session_id} is shared at a service that Sturdy does not know, and is not kept up to date: unshare it, and share it again`,
      })
    adopt(sync.shares, share, service)
    if (isOurs(sync.shares, share)) void sync.compare(share.session_id)
  }

  /** Shares of this directory's sessions. */
  #known(): KnownShare[] {
    const { log, directory } = this.parts
    return (log()?.shares() ?? []).filter((share) => log()?.directoryOf(share.session_id) === directory)
  }
}
