/*
 * Power-loss model as an LD_PRELOAD library. Files in PL_DIR are written as ever, and beside each this library keeps
 * what a disk would be sure to hold: the content at its last sync, and the writes and truncations since.
 *
 * A write is durable only if a sync of that inode started after it and finished before the cut. Syncs take 0 to 1.5 ms,
 * during which writes go on. At event PL_CUT (write, truncation, sync start, sync end, unlink) power fails: each
 * 512-byte sector written since independently has any of its versions, sizes likewise, names whose directory was not
 * synced may be missing, unlinked ones may be back, -shm is gone. A truncation that shrinks is one step of a file
 * system's journal: it happened whole or not at all, and what was written after it is not there without it. The outcome is written to PL_OUT; exit status 66.
 *
 * Bun's own fs makes raw system calls, which go past this library: who writes by it says so afterwards by unlinking
 * <file>.written, which is there for nobody, and the file counts as written whole.
 *
 * PL_OTHER=1: fdatasync syncs nothing, as if it were called on another file. A control that must lose.
 *
 * PL_EIO=n: the n-th sync of a file fails with EIO, and the writes that it should have taken to the disk never get there
 * unless they are made again: the kernel calls such pages clean, so that the next sync succeeds (Rebello et al., ATC'20). Each other
 * descriptor that had the file open reports the error once too (errseq_t). PL_SWALLOW=1: fdatasync does not report it, a
 * control that must lose.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define SECTOR 512
#define FDS_MAX 1024

typedef struct op { struct op *next; uint64_t seq; off_t at; size_t length; int truncate; unsigned char *data; } op;
typedef struct { unsigned char *bytes; size_t size, room; } image;
typedef struct file {
  struct file *next; dev_t dev; ino_t ino; char name[256]; image durable; op *first, **last;
  int name_durable, unlinked, unlink_durable;
} file;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static file *files;
static uint64_t events, cut_at, next_seq = 1, rng;
static const char *dir, *out;
static int other, swallow, ready;
static uint64_t syncs, eio_at;
/* Inode whose failed sync this descriptor has yet to report. */
static ino_t owed[FDS_MAX];

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_close)(int);

static uint64_t draw(void) {
  uint64_t z = (rng += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

__attribute__((constructor)) static void start(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_close = dlsym(RTLD_NEXT, "close");
  dir = getenv("PL_DIR");
  out = getenv("PL_OUT");
  if (!dir || !out) return;
  cut_at = strtoull(getenv("PL_CUT") ? getenv("PL_CUT") : "0", 0, 10);
  rng = strtoull(getenv("PL_SEED") ? getenv("PL_SEED") : "1", 0, 10);
  other = getenv("PL_OTHER") != 0;
  swallow = getenv("PL_SWALLOW") != 0;
  eio_at = strtoull(getenv("PL_EIO") ? getenv("PL_EIO") : "0", 0, 10);
  ready = 1;
}

static void ensure(image *i, size_t size) {
  if (size <= i->room) return;
  size_t room = size * 2 + 65536;
  i->bytes = realloc(i->bytes, room);
  memset(i->bytes + i->room, 0, room - i->room);
  i->room = room;
}

static void resize(image *i, size_t size) {
  ensure(i, size);
  if (size < i->size) memset(i->bytes + size, 0, i->size - size);
  i->size = size;
}

static void apply(image *i, const op *o) {
  if (o->truncate) { resize(i, (size_t)o->at); return; }
  size_t end = (size_t)o->at + o->length;
  if (end > i->size) resize(i, end);
  memcpy(i->bytes + o->at, o->data, o->length);
}

/* Under the lock. The file behind a descriptor, if it lies in PL_DIR and is not the shared index. */
static file *find(int fd) {
  struct stat st;
  if (!ready || fstat(fd, &st) || !S_ISREG(st.st_mode)) return 0;
  for (file *f = files; f; f = f->next)
    if (f->dev == st.st_dev && f->ino == st.st_ino && !f->unlinked) return f;
  char link[64], path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  size_t prefix = strlen(dir);
  if (n <= (ssize_t)prefix) return 0;
  path[n] = 0;
  if (strncmp(path, dir, prefix) || path[prefix] != '/') return 0;
  if (n > 4 && !strcmp(path + n - 4, "-shm")) return 0;
  file *f = calloc(1, sizeof *f);
  f->dev = st.st_dev; f->ino = st.st_ino; f->last = &f->first;
  snprintf(f->name, sizeof f->name, "%s", path + prefix + 1);
  /* First seen: what is there now is taken for durable. By this descriptor: another one would drop SQLite's locks. */
  resize(&f->durable, st.st_size);
  for (off_t at = 0; at < st.st_size;) {
    ssize_t got = pread(fd, f->durable.bytes + at, st.st_size - at, at);
    if (got <= 0) break;
    at += got;
  }
  f->name_durable = st.st_size > 0;
  f->next = files;
  files = f;
  return f;
}

static void put(const file *f, const image *i, size_t size) {
  char path[1400];
  snprintf(path, sizeof path, "%s/%s", out, f->name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  for (size_t at = 0; at < size;) {
    ssize_t n = real_pwrite(fd, i->bytes + at, size - at, at);
    if (n <= 0) break;
    at += n;
  }
  real_ftruncate(fd, size);
}

static void cut_file(file *f) {
  if (f->unlinked && (f->unlink_durable || draw() % 2)) return;
  if (!f->name_durable && draw() % 2) return;
  size_t count = 0;
  for (op *o = f->first; o; o = o->next) count++;
  image now = {0}, chosen = {0};
  resize(&now, f->durable.size);
  if (f->durable.size) memcpy(now.bytes, f->durable.bytes, f->durable.size);
  size_t largest = now.size;
  for (op *o = f->first; o; o = o->next) {
    size_t end = o->at + o->length;
    if (end > largest) largest = end;
  }
  ensure(&now, largest + SECTOR);
  ensure(&chosen, largest + SECTOR);
  memcpy(chosen.bytes, now.bytes, now.room < chosen.room ? now.room : chosen.room);
  size_t sectors = largest / SECTOR + 1;
  size_t *version = calloc(sectors, sizeof *version);
  /* Versions run from the last shrinking truncation that happened to the one before the first that did not. */
  size_t shrinks = 0, low = 0, high = count, at = 0, step = 0, length = now.size;
  for (int pass = 0; pass < 2; pass++) {
    size_t happened = pass ? draw() % (shrinks + 1) : 0;
    length = f->durable.size, at = 0, step = 0;
    for (op *o = f->first; o; o = o->next) {
      at++;
      size_t end = o->truncate ? (size_t)o->at : (size_t)o->at + o->length;
      int shrinking = o->truncate && end < length;
      length = o->truncate || end > length ? end : length;
      if (!shrinking) continue;
      if (!pass) { shrinks++; continue; }
      if (++step <= happened) low = at;
      else if (high == count) high = at - 1;
    }
  }
  size_t span = high - low + 1;
  uint64_t way = draw() % 6;
  size_t prefix = low + draw() % span;
  for (size_t s = 0; s < sectors; s++) version[s] = way == 0 ? low : way < 3 ? prefix : low + draw() % span;
  size_t size_version = way == 0 ? low : way < 3 ? prefix : low + draw() % span;
  size_t size = now.size, index = 0;
  for (op *o = f->first; o; o = o->next) {
    index++;
    size_t before = now.size;
    apply(&now, o);
    if (size_version >= index) size = now.size;
    size_t from = o->truncate ? (size_t)o->at / SECTOR : (size_t)o->at / SECTOR;
    size_t to = o->truncate ? before / SECTOR : (o->at + o->length - 1) / SECTOR;
    for (size_t s = from; s <= to && s < sectors; s++)
      if (version[s] >= index) memcpy(chosen.bytes + s * SECTOR, now.bytes + s * SECTOR, SECTOR);
  }
  put(f, &chosen, size);
}

/* Under the lock, which is never given back: nothing is written, synced or acknowledged after the cut. */
static void event(void) {
  if (++events != cut_at) return;
  for (file *f = files; f; f = f->next) cut_file(f);
  _exit(66);
}

static void note(file *f, off_t at, const void *data, size_t length, int truncate) {
  op *o = calloc(1, sizeof *o);
  o->seq = next_seq++; o->at = at; o->length = length; o->truncate = truncate;
  if (data) { o->data = malloc(length ? length : 1); memcpy(o->data, data, length); }
  *f->last = o;
  f->last = &o->next;
}

static ssize_t written(int fd, const void *data, size_t length, off_t at) {
  pthread_mutex_lock(&lock);
  file *f = find(fd);
  ssize_t n = real_pwrite(fd, data, length, at);
  if (f && n > 0) { note(f, at, data, n, 0); event(); }
  pthread_mutex_unlock(&lock);
  return n;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return written(fd, data, length, at); }

static int truncated(int fd, off_t size) {
  pthread_mutex_lock(&lock);
  file *f = find(fd);
  int failed = real_ftruncate(fd, size);
  if (f && !failed) { note(f, size, 0, 0, 1); event(); }
  pthread_mutex_unlock(&lock);
  return failed;
}

int ftruncate64(int fd, off_t size) { return truncated(fd, size); }
int ftruncate(int fd, off_t size) { return truncated(fd, size); }

/* Under the lock. Found by its path: a descriptor of our own would drop nobody's locks on a -wal, and is closed at once. */
static void written_past(const char *path, size_t length) {
  char name[1024];
  snprintf(name, sizeof name, "%.*s", (int)length, path);
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  struct stat st;
  file *f = fd < 0 ? 0 : find(fd);
  if (f && !fstat(fd, &st)) {
    unsigned char *bytes = malloc(st.st_size ? st.st_size : 1);
    ssize_t n = pread(fd, bytes, st.st_size, 0);
    if (n > 0) { note(f, 0, bytes, n, 0); event(); }
    free(bytes);
  }
  if (fd >= 0) real_close(fd);
}

int unlink(const char *path) {
  size_t prefix = ready ? strlen(dir) : 0;
  size_t length = strlen(path), ending = strlen(".written");
  pthread_mutex_lock(&lock);
  if (ready && length > ending && !strcmp(path + length - ending, ".written")) written_past(path, length - ending);
  int failed = real_unlink(path);
  if (ready && !failed && !strncmp(path, dir, prefix) && path[prefix] == '/') {
    for (file *f = files; f; f = f->next)
      if (!f->unlinked && !strcmp(f->name, path + prefix + 1)) f->unlinked = 1;
    event();
  }
  pthread_mutex_unlock(&lock);
  return failed;
}

int close(int fd) {
  if (fd >= 0 && fd < FDS_MAX) owed[fd] = 0;
  return real_close(fd);
}

/* Under the lock. True if this sync fails, or has the failure of another descriptor's to report. */
static int fails(int fd) {
  struct stat st, found;
  int reports = fd >= 0 && fd < FDS_MAX && owed[fd] && !fstat(fd, &st) && st.st_ino == owed[fd];
  if (fd >= 0 && fd < FDS_MAX) owed[fd] = 0;
  if (++syncs != eio_at) return reports;
  if (fstat(fd, &st)) return 1;
  for (int i = 0; i < FDS_MAX; i++)
    if (i != fd && !fstat(i, &found) && found.st_dev == st.st_dev && found.st_ino == st.st_ino) owed[i] = st.st_ino;
  return 1;
}

static int synced(int fd, int effective) {
  if (!ready) return 0;
  struct stat st, home;
  pthread_mutex_lock(&lock);
  if (!fstat(fd, &st) && S_ISDIR(st.st_mode) && !stat(dir, &home) && home.st_ino == st.st_ino) {
    for (file *f = files; f; f = f->next) {
      f->name_durable = 1;
      if (f->unlinked) f->unlink_durable = 1;
    }
    event();
    pthread_mutex_unlock(&lock);
    return 0;
  }
  file *f = find(fd);
  uint64_t upto = next_seq;
  int failed = 0, here = 0;
  if (f) {
    event();
    uint64_t before = syncs;
    failed = fails(fd);
    here = before + 1 == eio_at;
  }
  useconds_t pause = f ? draw() % 1500 : 0;
  pthread_mutex_unlock(&lock);
  if (pause) usleep(pause);
  pthread_mutex_lock(&lock);
  if (f && effective) {
    while (f->first && f->first->seq < upto) {
      op *o = f->first;
      /* Sizes are the journal's business, and it did not fail. */
      if (!here || o->truncate) apply(&f->durable, o);
      f->first = o->next;
      if (!f->first) f->last = &f->first;
      free(o->data);
      free(o);
    }
  }
  if (f) event();
  pthread_mutex_unlock(&lock);
  if (failed) errno = EIO;
  return failed ? -1 : 0;
}

int fsync(int fd) { return synced(fd, 1); }

int fdatasync(int fd) {
  int failed = synced(fd, !other);
  return swallow ? 0 : failed;
}
