/* fsync and fdatasync report EIO while the file named by EIO_WHILE is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int refused(void) {
  const char *name = getenv("EIO_WHILE");
  return name && access(name, F_OK) == 0;
}

int fsync(int fd) {
  static int (*real)(int);
  if (refused()) return errno = EIO, -1;
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  return real(fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (refused()) return errno = EIO, -1;
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  return real(fd);
}
