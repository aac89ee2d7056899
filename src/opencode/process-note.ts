/** A process as it is noted on disk, and whether it is still there. */
import { type ProcessName, processIdentity } from "../store/process-identity.ts"

export function thisProcess(): ProcessName {
  const { host, boot_id, pid, pid_started } = processIdentity()
  return { host, boot_id, pid, pid_started }
}

/** Also what ran before its host was started anew: of the holder of a lease that is not certain enough, of a note it is. */
export function isGone(process: ProcessName): boolean {
  const me = processIdentity()
  return me.isDead(process) || (process.host === me.host && process.boot_id !== me.boot_id)
}
