/** Numbers, sizes and times as people read them. Nothing here is parsed by anybody: that is what `--json` is for. */

export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`
}

/** Never more exact than three digits. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  let value = bytes
  let unit = 0
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toPrecision(2))} ${units[unit]}`
}

const steps: [unit: string, ms: number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
]

/** The largest unit of which there are two, e.g. `90 s`, `3 h`. */
export function durationText(ms: number): string {
  const [unit, length] = steps.find(([, step]) => ms >= 2 * step) ?? ["s", 1_000]
  const value = ms / length
  return `${ms > 0 && value < 1 ? "<1" : Math.floor(value)} ${unit}`
}

/** Of something that was; none, if a clock was put back. */
export function ageText(at: number, now: number): string {
  return durationText(Math.max(0, now - at))
}

/** The same for what is to come: never less than it takes. */
export function untilText(at: number, now: number): string {
  const ms = at - now
  if (ms <= 0) return "now"
  const [unit, length] = steps.find(([, step]) => ms >= 2 * step) ?? ["s", 1_000]
  return `in ${Math.ceil(ms / length)} ${unit}`
}

export function agoText(at: number, now: number): string {
  // A clock that was put back, or another machine's.
  return at > now + 1_000 ? `${durationText(at - now)} in the future` : `${ageText(at, now)} ago`
}

/** Local time, with its offset: what the reader's own clock and logs say. */
export function timeText(at: number): string {
  const time = new Date(at)
  if (Number.isNaN(time.getTime())) return "at no time"
  const two = (value: number) => String(Math.abs(value)).padStart(2, "0")
  const offset = -time.getTimezoneOffset()
  const zone = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${two(Math.trunc(offset / 60))}:${two(offset % 60)}`
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-")
  const clock = [two(time.getHours()), two(time.getMinutes()), two(time.getSeconds())].join(":")
  return `${day} ${clock}${zone}`
}

/** Local time of day. */
export function clockText(at: number): string {
  return timeText(at).slice(11, 19)
}
