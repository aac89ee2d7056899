/** Which process this is, so that another one can tell that it is dead: host, boot, pid and when that pid began. */
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

export interface ProcessName {
  host: string
  boot_id: string
  pid: number
  pid_started: string
}

export interface ProcessIdentity extends ProcessName {
  /** True only if it is certain: same host and boot, and no process of that pid and start. */
  isDead(other: ProcessName): boolean
}

/** Of this process: it does not change. */
let identity: ProcessIdentity | undefined

export function processIdentity(): ProcessIdentity {
  return (identity ??= readIdentity())
}

function readIdentity(): ProcessIdentity {
  const host = hostname()
  // Linux only; elsewhere empty, and then nobody is ever certainly dead: the lease expires instead. Two containers may
  // share host name and boot: a pid means something within its namespace only.
  const boot = readText("/proc/sys/kernel/random/boot_id")?.trim()
  const namespace = linkOf("/proc/self/ns/pid")
  const pid_started = startOf(process.pid)
  const boot_id = boot && namespace && pid_started ? `${boot} ${namespace}` : ""
  return {
    host,
    boot_id,
    pid: process.pid,
    pid_started: pid_started ?? "",
    isDead(other) {
      // This one, which is asking.
      if (other.pid === process.pid && other.pid_started === pid_started) return false
      if (!boot_id || other.host !== host || other.boot_id !== boot_id) return false
      const started = startOf(other.pid)
      // A process of another user may be hidden in /proc, but not from the question whether it can be signalled.
      return started === undefined ? !exists(other.pid) : started !== other.pid_started
    },
  }
}

/** Field 22 of /proc/PID/stat: clock ticks since boot. The second field, the name, may hold spaces and parentheses. */
function startOf(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")
  // A zombie has ended; only its parent has not yet asked.
  return fields?.[0] === "Z" ? "ended" : fields?.[19]
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code !== "ESRCH"
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
