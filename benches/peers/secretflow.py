#!/usr/bin/env python3
"""The rows of SecretFlow beside those of `banyan bench table`: CSV in to CSV out, two processes on this machine.

    python3 -m venv ~/peer && ~/peer/bin/pip install spu==0.9.5    # CPython 3.10 or 3.11, Linux x86-64
    ~/peer/bin/python benches/peers/secretflow.py [LOG2_SIZE ...]     # 16 by default

Half of the ids are common and only the receiver gets a result, as in our bench. Wall time is what the party that takes
longer needs; imports and the first connection are left out. MB is what passed over loopback meanwhile, headers of TCP
included, so run nothing else on it. Every count is compared with the truth.
"""
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time

FIRST_PORT = 19700


def suites(psi):
    """What each row runs: the protocol, and the curve where there is one."""
    ecdh, rr22 = psi.PsiProtocol.PROTOCOL_ECDH, psi.PsiProtocol.PROTOCOL_RR22
    return {
        "rr22 (semi-honest)": (rr22, False),
        "rr22 low bandwidth (semi-honest)": (rr22, True),
        "ecdh 25519 (raw hash as coordinate)": (ecdh, psi.EllipticCurveType.CURVE_25519),
        "ecdh 25519 (Elligator2)": (ecdh, psi.EllipticCurveType.CURVE_25519_ELLIGATOR2),
        "ecdh SM2": (ecdh, psi.EllipticCurveType.CURVE_SM2),
    }


# what takes minutes at the larger sizes
SMALL_ONLY = {"ecdh 25519 (Elligator2)", "ecdh SM2"}


def party(rank, name, directory, port, answers):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its log, of which a part heeds no option
    from spu import libspu, psi

    logging = libspu.logging.LogOptions()
    logging.enable_console_logger, logging.system_log_path = False, os.devnull
    libspu.logging.setup_logging(logging)
    description = libspu.link.Desc()
    description.recv_timeout_ms = description.http_timeout_ms = 3_600_000
    for other in range(2):
        description.add_party(str(other), f"127.0.0.1:{port + other}")
    link = libspu.link.create_brpc(description, rank)
    link.barrier()
    protocol, choice = suites(psi)[name]
    config = psi.PsiProtocolConfig(protocol=protocol, receiver_rank=0, broadcast_result=False, bucket_size=1 << 20)
    if protocol == psi.PsiProtocol.PROTOCOL_RR22:
        config.rr22_params = psi.Rr22Rarams(low_comm_mode=choice)
    else:
        config.ecdh_params = psi.EcdhParams(curve=choice, batch_size=4096)
    job = psi.PsiExecuteConfig(
        protocol_conf=config,
        input_params=psi.InputParams(path=f"{directory}/{rank}.csv", selected_keys=["id"], keys_unique=True),
        output_params=psi.OutputParams(path=f"{directory}/out{rank}.csv", disable_alignment=True),
    )
    cpu, began = processor_time(), time.monotonic()
    report = psi.psi_execute(job, link)
    wall = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    answers.put((rank, wall, processor_time() - cpu, peak, report.intersection_count))


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def on_loopback():
    with open("/proc/net/dev") as table:
        line = next(line for line in table if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


def write(size, directory):
    numbers = random.Random(size).sample(range(10**17), size + size // 2)
    for rank, own in enumerate((numbers[:size], numbers[size - size // 2 : 2 * size - size // 2])):
        with open(f"{directory}/{rank}.csv", "w") as file:
            file.write("id\n")
            file.writelines(f"{number:017}X\n" for number in own)


def row(name, log2, port):
    size = 1 << log2
    with tempfile.TemporaryDirectory() as directory:
        write(size, directory)
        # spawned, not forked: the library keeps threads of its own
        processes = multiprocessing.get_context("spawn")
        answers = processes.Queue()
        before = on_loopback()
        parties = [processes.Process(target=party, args=(rank, name, directory, port, answers)) for rank in range(2)]
        for process in parties:
            process.start()
        answered = sorted(answers.get() for _ in parties)
        for process in parties:
            process.join()
        sent = (on_loopback() - before) / 1e6
    (_, wall0, cpu0, peak0, found), (_, wall1, cpu1, peak1, _) = answered
    right = "yes" if found == size // 2 else f"NO: {found} of {size // 2}"
    print(
        f"| SecretFlow {name} | 2^{log2} | {max(wall0, wall1):.2f} | {cpu0:.2f}, {cpu1:.2f} | {sent:.2f} "
        f"| {peak0:.0f}, {peak1:.0f} | {right} |",
        flush=True,
    )


def main():
    from spu import psi

    print("| protocol | N | wall s | CPU s receiver, sender | MB | peak MB receiver, sender | right |")
    print("|---|---|---|---|---|---|---|")
    port = FIRST_PORT
    for log2 in [int(argument) for argument in sys.argv[1:]] or [16]:
        for name in suites(psi):
            if log2 <= 16 or name not in SMALL_ONLY:
                row(name, log2, port)
                port += 2


if __name__ == "__main__":
    main()
