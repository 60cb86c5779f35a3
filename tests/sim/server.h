/*
 * server: the vendor's port: takes requests in, lets latency and faults act, sends answers.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "sim.h"

struct MHD_Daemon;

/* Port 0: any free one. Returns NULL if it cannot listen; sets sim->port. */
struct MHD_Daemon *server_start(struct sim *sim, uint16_t port);

#endif
