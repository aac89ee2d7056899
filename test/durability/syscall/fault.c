/*
 * One fault at the n-th write or sync system call on files in FAULT_DIR, as an LD_PRELOAD library. Counted: pwrite,
 * write, writev, ftruncate, unlink, fsync, fdatasync; on the main file, -wal, -shm, a rollback journal and the folder.
 *
 *   FAULT_AT      n, from 1; 0 or unset: none, the calls are only noted
 *   FAULT_KIND    crash: the process ends before the call. torn: a write reaches the file as far as FAULT_KEEP per mille
 *                 of it (one of several sectors: cut at a sector), then the process ends. eio, enospc: the call fails;
 *                 the first half of the sectors of a write have reached the file all the same.
 *   FAULT_STICKY  eio, enospc: every call from n on fails, until the file FAULT_HEAL exists
 *   FAULT_LOG     one line per call; where there is a fault, only that one
 *   FAULT_SWALLOW fdatasync never reports its error, as code that ignores it would have it: a control
 *
 * A sync that failed is reported once by each descriptor that had the file open, as Linux does (errseq_t). Nothing is
 * really synced: what a process has written survives its death, and the death of the machine is not this model's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512
#define FDS_MAX 1024
#define ENDED 66

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *kind, *heal;
static size_t prefix;
static long at, calls, keep;
static int sticky, swallow, ready, log_fd = -1;
/* Inode whose failed sync this descriptor has yet to report. */
static ino_t owed[FDS_MAX];

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_close)(int);

__attribute__((constructor)) static void start(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_close = dlsym(RTLD_NEXT, "close");
  dir = getenv("FAULT_DIR");
  if (!dir) return;
  prefix = strlen(dir);
  kind = getenv("FAULT_KIND") ? getenv("FAULT_KIND") : "crash";
  heal = getenv("FAULT_HEAL");
  at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  keep = getenv("FAULT_KEEP") ? atol(getenv("FAULT_KEEP")) : 500;
  sticky = getenv("FAULT_STICKY") != 0;
  swallow = getenv("FAULT_SWALLOW") != 0;
  const char *log = getenv("FAULT_LOG");
  if (log) log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ready = 1;
}

/* Name below FAULT_DIR of what the descriptor has open, "." for the folder itself; 0 if it lies elsewhere. */
static const char *name_of(int fd, char *path, size_t room) {
  struct stat st;
  if (!ready || fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) return 0;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, room - 1);
  if (n < (ssize_t)prefix) return 0;
  path[n] = 0;
  if (strncmp(path, dir, prefix)) return 0;
  if (path[prefix] == 0) return ".";
  return path[prefix] == '/' ? path + prefix + 1 : 0;
}

/* Under the lock. Counts the call; true if it meets the fault. */
static int meets(const char *call, const char *name, size_t size) {
  calls++;
  int due = at && (calls == at || (sticky && calls > at && !(heal && access(heal, F_OK) == 0)));
  if (log_fd >= 0 && (!at || calls == at)) dprintf(log_fd, "%ld %s %s %zu\n", calls, call, name, size);
  if (due && !strcmp(kind, "crash")) _exit(ENDED);
  return due;
}

static int fails(void) { return errno = strcmp(kind, "enospc") ? EIO : ENOSPC, -1; }

/* A write that fails in a running system is whole or not at all within a sector; the end of one may cut anywhere. */
static size_t torn(size_t length) {
  int ends = !strcmp(kind, "torn");
  size_t kept = length * (ends ? keep : 500) / 1000;
  return length >= 2 * SECTOR || !ends ? kept / SECTOR * SECTOR : kept;
}

static ssize_t written(const char *call, int fd, const void *data, size_t length, off_t place, int placed) {
  char path[4096];
  pthread_mutex_lock(&lock);
  const char *name = name_of(fd, path, sizeof path);
  int due = name && meets(call, name, length);
  if (due) {
    size_t part = torn(length);
    if (part) placed ? real_pwrite(fd, data, part, place) : real_write(fd, data, part);
    if (!strcmp(kind, "torn")) _exit(ENDED);
    pthread_mutex_unlock(&lock);
    return fails();
  }
  ssize_t n = placed ? real_pwrite(fd, data, length, place) : real_write(fd, data, length);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return n;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t place) { return written("pwrite", fd, data, length, place, 1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t place) { return written("pwrite", fd, data, length, place, 1); }

ssize_t write(int fd, const void *data, size_t length) {
  if (!ready) return real_write ? real_write(fd, data, length) : (ssize_t)fails();
  return written("write", fd, data, length, 0, 0);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  char path[4096];
  pthread_mutex_lock(&lock);
  const char *name = name_of(fd, path, sizeof path);
  int due = name && meets("writev", name, count);
  if (due && !strcmp(kind, "torn")) _exit(ENDED);
  pthread_mutex_unlock(&lock);
  return due ? fails() : real_writev(fd, parts, count);
}

static int truncated(int fd, off_t size) {
  char path[4096];
  pthread_mutex_lock(&lock);
  const char *name = name_of(fd, path, sizeof path);
  int due = name && meets("ftruncate", name, size);
  if (due && !strcmp(kind, "torn")) _exit(ENDED);
  int failed = due ? fails() : real_ftruncate(fd, size);
  pthread_mutex_unlock(&lock);
  return failed;
}

int ftruncate64(int fd, off_t size) { return truncated(fd, size); }
int ftruncate(int fd, off_t size) { return truncated(fd, size); }

int unlink(const char *path) {
  int due = 0;
  pthread_mutex_lock(&lock);
  if (ready && !strncmp(path, dir, prefix) && path[prefix] == '/') due = meets("unlink", path + prefix + 1, 0);
  if (due && !strcmp(kind, "torn")) _exit(ENDED);
  int failed = due ? fails() : real_unlink(path);
  pthread_mutex_unlock(&lock);
  return failed;
}

int close(int fd) {
  if (fd >= 0 && fd < FDS_MAX) owed[fd] = 0;
  return real_close(fd);
}

/* Every other descriptor of the file has the same error to report. */
static void owe(int fd) {
  struct stat st, other;
  if (fstat(fd, &st)) return;
  for (int i = 0; i < FDS_MAX; i++)
    if (i != fd && !fstat(i, &other) && other.st_dev == st.st_dev && other.st_ino == st.st_ino) owed[i] = st.st_ino;
}

static int synced(const char *call, int fd) {
  char path[4096];
  struct stat st;
  pthread_mutex_lock(&lock);
  const char *name = name_of(fd, path, sizeof path);
  int failed = 0;
  if (name && meets(call, name, 0)) {
    if (!strcmp(kind, "torn")) _exit(ENDED);
    owe(fd);
    failed = 1;
  } else if (fd >= 0 && fd < FDS_MAX && owed[fd] && !fstat(fd, &st) && st.st_ino == owed[fd]) {
    failed = 1;
  }
  if (fd >= 0 && fd < FDS_MAX) owed[fd] = 0;
  if (failed) fails();
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return failed ? -1 : 0;
}

int fsync(int fd) { return synced("fsync", fd); }

int fdatasync(int fd) {
  int failed = synced("fdatasync", fd);
  return swallow ? 0 : failed;
}
