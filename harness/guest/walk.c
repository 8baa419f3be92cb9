/*
 * walk: fills more memory than the machine has, and checks every word.
 *
 *     walk MIB PASSES [pageout]
 *
 * Each pass writes every word. Then it reads all pages twice: in order, and in an order that jumps
 * from page to page. Address and pass determine each word. So it notices a page of an earlier pass,
 * and a page from another address.
 *
 * 60 % of a page is one repeated word. The rest is random, with six bits a byte: lz4 makes somewhat
 * less than half of a page, and zstd a quarter less of that.
 *
 * With "pageout", it asks the kernel to swap all pages out before it reads them (MADV_PAGEOUT).
 * That is for a machine that is not short of memory.
 *
 * SIGTERM makes the pass that it is in the last one.
 *
 * It ends with 0 when every word was right. Then the last line has the kernel's counts of pages
 * that were swapped in and out.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum { PAGE_BYTES = 4096, WORDS = PAGE_BYTES / 8, SAME_WORDS = WORDS * 6 / 10 };

/* The finalizer of splitmix64: each bit of the input changes half of the output's bits. */
static uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static uint64_t word_of(uint64_t page, unsigned word, uint64_t pass) {
  uint64_t index = page * WORDS + (word < SAME_WORDS ? 0 : word);
  return mixed(index ^ (pass << 48)) & 0x3f3f3f3f3f3f3f3fu;
}

static void fill(uint64_t *memory, uint64_t page_count, uint64_t pass) {
  for (uint64_t page = 0; page < page_count; page += 1) {
    uint64_t *words = memory + page * WORDS;
    uint64_t same = word_of(page, 0, pass);
    for (unsigned i = 0; i < WORDS; i += 1) {
      words[i] = i < SAME_WORDS ? same : word_of(page, i, pass);
    }
  }
}

static int page_is_right(const uint64_t *memory, uint64_t page, uint64_t pass) {
  const uint64_t *words = memory + page * WORDS;
  uint64_t same = word_of(page, 0, pass);
  for (unsigned i = 0; i < WORDS; i += 1) {
    uint64_t right = i < SAME_WORDS ? same : word_of(page, i, pass);
    if (words[i] == right) continue;
    printf("WALK FAIL page %llu word %u pass %llu is %016llx must be %016llx\n",
           (unsigned long long)page, i, (unsigned long long)pass, (unsigned long long)words[i],
           (unsigned long long)right);
    return 0;
  }
  return 1;
}

/* A stride that shares no divisor with the count reaches every page once. */
static uint64_t divisor(uint64_t a, uint64_t b) {
  return b == 0 ? a : divisor(b, a % b);
}

static int all_are_right(const uint64_t *memory, uint64_t page_count, uint64_t pass,
                         uint64_t stride) {
  uint64_t page = 0;
  for (uint64_t i = 0; i < page_count; i += 1) {
    if (!page_is_right(memory, page, pass)) return 0;
    page = (page + stride) % page_count;
  }
  return 1;
}

static unsigned long long counted(const char *name) {
  char line[256];
  unsigned long long value = 0;
  size_t length = strlen(name);
  FILE *file = fopen("/proc/vmstat", "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, length) == 0 && line[length] == ' ') {
      value = strtoull(line + length + 1, NULL, 10);
    }
  }
  fclose(file);
  return value;
}

static volatile sig_atomic_t is_last = 0;

static void end_after_pass(int signal) {
  (void)signal;
  is_last = 1;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  uint64_t page_count = strtoull(argv[1], NULL, 10) * 1024 * 1024 / PAGE_BYTES;
  uint64_t passes = strtoull(argv[2], NULL, 10);
  int pages_out = argc > 3;
  if (page_count == 0 || passes == 0) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  unsigned long long in = counted("pswpin"), out = counted("pswpout");
  uint64_t *memory = mmap(NULL, page_count * PAGE_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    printf("WALK FAIL no memory\n");
    return 1;
  }
  uint64_t stride = page_count / 3 + 7;
  while (divisor(stride, page_count) != 1) stride += 1;
  signal(SIGTERM, end_after_pass);
  uint64_t pass = 0;
  while (pass < passes && !is_last) {
    pass += 1;
    fill(memory, page_count, pass);
    printf("WALK pass %llu filled\n", (unsigned long long)pass);
    for (int jumps = 0; jumps < 2; jumps += 1) {
      if (pages_out && madvise(memory, page_count * PAGE_BYTES, MADV_PAGEOUT) != 0) {
        printf("WALK FAIL MADV_PAGEOUT is refused\n");
        return 1;
      }
      if (!all_are_right(memory, page_count, pass, jumps ? stride : 1)) return 1;
      printf("WALK pass %llu %s\n", (unsigned long long)pass, jumps ? "jumped" : "walked");
    }
  }
  printf("WALK OK pages %llu passes %llu pswpin %llu pswpout %llu\n",
         (unsigned long long)page_count, (unsigned long long)pass, counted("pswpin") - in,
         counted("pswpout") - out);
  return 0;
}
