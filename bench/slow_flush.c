/* Makes the flush of a commit slower: PostgreSQL flushes its log by fdatasync, and nothing else by it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int fdatasync(int file) {
  static int (*flush)(int);
  static long nanoseconds;
  if (!flush) {
    const char *milliseconds = getenv("FLUSH_MILLISECONDS");
    nanoseconds = milliseconds ? atol(milliseconds) * 1000000L : 0;
    flush = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  }
  struct timespec rest = {0, nanoseconds};
  nanosleep(&rest, 0);
  return flush(file);
}
