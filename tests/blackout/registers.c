/* Lets user-mode-linux run on processors with more registers than it knows (AMX and whatever comes).
 *
 * Its kernel keeps 2696 bytes of registers for each process. Reading fewer than there are is allowed,
 * writing fewer is refused (EFAULT), and it would panic. So each write is filled up to the whole here.
 * What is added is zero and its bits in the header are not set, so those registers stay as they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEK_FIRST = 1, PEEK_LAST = 3, GET_REGISTERS = 0x4204, SET_REGISTERS = 0x4205 };

static char whole[1 << 16];
static size_t size;

static struct iovec filled_up(long pid, void *kind, const struct iovec *given)
{
    struct iovec all = { whole, sizeof whole };
    if (size == 0 && syscall(SYS_ptrace, GET_REGISTERS, pid, kind, &all) == 0)
        size = all.iov_len;
    all.iov_len = size > given->iov_len ? size : given->iov_len;
    memset(whole, 0, all.iov_len);
    memcpy(whole, given->iov_base, given->iov_len);
    return all;
}

long ptrace(int request, ...)
{
    va_list rest;
    va_start(rest, request);
    long pid = va_arg(rest, long);
    void *address = va_arg(rest, void *);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (request == SET_REGISTERS) {
        struct iovec all = filled_up(pid, address, data);
        return syscall(SYS_ptrace, request, pid, address, &all);
    }
    if (request < PEEK_FIRST || request > PEEK_LAST)
        return syscall(SYS_ptrace, request, pid, address, data);
    long word = 0;
    if (syscall(SYS_ptrace, request, pid, address, &word) < 0)
        return -1;
    errno = 0;
    return word;
}
