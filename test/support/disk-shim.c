/*
 * LD_PRELOAD: a disk that fails or is slow, for the files of one folder. The folder is FORESHARD_NODE_DATA_DIR; what its disk
 * does is read at every sync from the file beside it, "<folder>.disk":
 *
 *   eio          fdatasync and fsync fail with EIO
 *   slow 2000    they take so many milliseconds more
 *
 * No such file: the disk is well. Other folders, such as the metadata store's, are never touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int is_of_folder(int fd) {
  const char *folder = getenv("FORESHARD_NODE_DATA_DIR");
  char link[64], path[4096];
  if (folder == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  size_t folder_length = strlen(folder);
  return strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

/* 0 to go on, -1 with errno set to fail. */
static int before_sync(int fd) {
  char path[4096], order[64] = "";
  int saved = errno, delay_ms = 0;
  if (!is_of_folder(fd)) return 0;
  snprintf(path, sizeof path, "%s.disk", getenv("FORESHARD_NODE_DATA_DIR"));
  FILE *file = fopen(path, "r");
  errno = saved;
  if (file == NULL) return 0;
  if (fgets(order, sizeof order, file) == NULL) order[0] = 0;
  fclose(file);
  if (strncmp(order, "eio", 3) == 0) {
    errno = EIO;
    return -1;
  }
  if (sscanf(order, "slow %d", &delay_ms) == 1) {
    struct timespec pause = {delay_ms / 1000, (delay_ms % 1000) * 1000000L};
    nanosleep(&pause, NULL);
  }
  errno = saved;
  return 0;
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return before_sync(fd) == 0 ? real(fd) : -1;
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return before_sync(fd) == 0 ? real(fd) : -1;
}
