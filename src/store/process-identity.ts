/** Which process this is, so that another one can tell that it is dead: host, boot, pid and when that pid began. */
import { readFileSync } from "node:fs"
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

export function processIdentity(): ProcessIdentity {
  const host = hostname()
  // Linux only; elsewhere empty, and then nobody is ever certainly dead: the lease expires instead.
  const boot_id = readText("/proc/sys/kernel/random/boot_id")?.trim() ?? ""
  return {
    host,
    boot_id,
    pid: process.pid,
    pid_started: startOf(process.pid) ?? "",
    isDead(other) {
      if (!boot_id || other.host !== host || other.boot_id !== boot_id) return false
      return startOf(other.pid) !== other.pid_started
    },
  }
}

/** Field 22 of /proc/PID/stat: clock ticks since boot. The second field, the name, may hold spaces and parentheses. */
function startOf(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`)
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")
  // A zombie has ended; only its parent has not yet asked.
  return fields?.[0] === "Z" ? undefined : fields?.[19]
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}
