"""拨测: test phones that prove who hears whom.

Each phone registers with a real Asterisk, sends its own tone as G.711 A-law every 20 ms and keeps every
packet it gets. Which party, music, silence or gap was heard at which moment is worked out from those packets
alone; nothing the switch says about itself is believed.

::

    sip  sdp  rtp  tones         codecs: bytes and samples in, values out; import nothing of ours
          hearing                packets → intervals of who was heard
    wire        media            shells: one SIP socket with its transactions; one RTP clock for the process
       dialog                    what INVITE sets going
          call                   one call of one phone
          phone                  what a scenario holds in its hand

A scenario imports :class:`~cti.dialtest.phone.Phone` and the policies beside it, nothing below.
"""
