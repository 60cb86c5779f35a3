/*
 * control: the second port, through which tests watch and change the simulated tenant.
 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "sim.h"

struct MHD_Daemon;

/* Port 0: any free one. Returns NULL if it cannot listen. */
struct MHD_Daemon *control_start(struct sim *sim, uint16_t port, uint16_t *ret_port);

#endif
