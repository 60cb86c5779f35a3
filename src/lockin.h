/* lockin.h: the daemon gives up what it does not need once it is mounted. */
#ifndef IBINDERFS_LOCKIN_H
#define IBINDERFS_LOCKIN_H

/* For the calling thread and all that it starts later: call it before the first thread. `ca_file`
 * stays readable; it may be NULL. Returns 0; or -errno: some of it was refused, the rest holds
 * (-ENOSYS, -EOPNOTSUPP: this kernel has no Landlock). There is no way back. */
int lockin_enter(const char *ca_file);

#endif
